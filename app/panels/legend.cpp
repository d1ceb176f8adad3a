#include "app/panels/legend.h"

#include <QApplication>
#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QStyle>
#include <QToolTip>
#include <algorithm>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {
constexpr int kMargin = 8, kSwatch = 20, kSwatchGap = 5, kApart = 12, kRowGap = 2;
constexpr int kLongestName = 230;
}  // namespace

Legend::Legend(QWidget* parent) : QWidget(parent) {
    QFont small = font();
    small.setPointSizeF(8.5);
    setFont(small);
    QSizePolicy policy(QSizePolicy::Ignored, QSizePolicy::Minimum);  // fixed, it would stay as high as it was before
    policy.setHeightForWidth(true);
    setSizePolicy(policy);
    setMouseTracking(true);
    setAccessibleName(tr("What the lines of the charts are"));
}

void Legend::setEntries(std::vector<Entry> entries) {
    if (entries == m_entries) return;
    m_entries = std::move(entries);
    setAccessibleDescription(allNames());
    updateGeometry();
    update();
}

QString Legend::allNames() const {
    QStringList names;
    for (const Entry& entry : m_entries) names << entry.name;
    return names.join('\n');
}

std::vector<Legend::Place> Legend::places(int width) const {
    const QFontMetrics metrics(font());
    const int row = metrics.height() + kRowGap, right = std::max(width - kMargin, kMargin + 60);
    std::vector<Place> found;
    QPoint at(kMargin, 1);
    int line = 1;
    for (std::size_t i = 0; i < m_entries.size(); ++i) {
        const int most = std::min(kLongestName, right - kMargin - kSwatch - kSwatchGap);
        const QString text = metrics.elidedText(m_entries[i].name, Qt::ElideMiddle, most);
        const int wide = kSwatch + kSwatchGap + metrics.horizontalAdvance(text);
        if (at.x() > kMargin && at.x() + wide > right) {
            if (++line > m_rows) break;
            at = QPoint(kMargin, at.y() + row);
        }
        found.push_back({QRect(at, QSize(wide, metrics.height())), text, i});
        at.rx() += wide + kApart;
    }
    return found;
}

int Legend::heightForWidth(int width) const {
    const auto shown = places(width);
    return shown.empty() ? 0 : shown.back().box.bottom() + 4;
}

QSize Legend::sizeHint() const {
    return {200, heightForWidth(std::max(width(), 200))};
}

void Legend::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const auto shown = places(width());
    const QString rest = tr("+%1").arg(m_entries.size() - shown.size());
    for (const Place& place : shown) {
        const Entry& entry = m_entries[place.entry];
        QPen pen = entry.pen;
        pen.setWidthF(2);
        pen.setCapStyle(Qt::FlatCap);
        painter.setPen(pen);
        const double y = place.box.center().y() + 0.5;
        painter.drawLine(QPointF(place.box.left(), y), QPointF(place.box.left() + kSwatch, y));
        painter.setPen(entry.overlay ? mutedColor() : palette().color(QPalette::WindowText));
        QRect box = place.box.adjusted(kSwatch + kSwatchGap, 0, 2, 0);
        // The count of what has no room stands at the end of the last row, if need be over the end of a name.
        if (&place == &shown.back() && shown.size() < m_entries.size()) {
            const int room = width() - kMargin - painter.fontMetrics().horizontalAdvance(rest) - 6;
            box.setRight(std::min(box.right(), room));
            painter.drawText(QRect(box.right() + 6, box.top(), width(), box.height()), Qt::AlignVCenter, rest);
        }
        painter.drawText(box, Qt::AlignVCenter,
                         painter.fontMetrics().elidedText(place.text, Qt::ElideRight, box.width()));
    }
}

const Legend::Entry* Legend::entryAt(const QPoint& position) const {
    for (const Place& place : places(width()))
        if (place.box.adjusted(-kApart / 2, 0, kApart / 2, 0).contains(position)) return &m_entries[place.entry];
    return nullptr;
}

void Legend::mouseReleaseEvent(QMouseEvent* event) {
    if (const Entry* entry = entryAt(event->pos()); entry && entry->overlay)
        Q_EMIT overlayClicked(entry->overlay, event->globalPosition().toPoint());
}

void Legend::mouseMoveEvent(QMouseEvent* event) {
    const Entry* entry = entryAt(event->pos());
    setCursor(entry && entry->overlay ? Qt::PointingHandCursor : Qt::ArrowCursor);
}

bool Legend::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return QWidget::event(event);
    const auto* help = static_cast<QHelpEvent*>(event);
    const Entry* entry = entryAt(help->pos());
    QToolTip::showText(help->globalPos(),
                       !entry           ? allNames()
                       : entry->overlay ? tr("%1\nA click offers to take this run away").arg(entry->name)
                                        : entry->name,
                       this);
    return true;
}

}  // namespace linscope::app

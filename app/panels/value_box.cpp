#include "app/panels/value_box.h"

#include <QPainter>
#include <algorithm>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {
constexpr int kMargin = 7, kSwatch = 16, kGap = 8, kLongestName = 220, kFromPointer = 14;
}  // namespace

ValueBox::ValueBox(QWidget* parent) : QWidget(parent) {
    QFont small = font();
    small.setPointSizeF(8.5);
    setFont(small);
    setAttribute(Qt::WA_TransparentForMouseEvents);
    hide();
}

void ValueBox::showAt(const QPoint& at, const QString& place, std::vector<Line> lines) {
    m_place = place;
    m_lines = std::move(lines);
    const QFontMetrics metrics(font());
    int names = 0, values = 0;
    for (Line& line : m_lines) {
        line.name = metrics.elidedText(line.name, Qt::ElideMiddle, kLongestName);
        names = std::max(names, metrics.horizontalAdvance(line.name));
        values = std::max(values, metrics.horizontalAdvance(line.value));
    }
    const int wide = std::max(metrics.horizontalAdvance(m_place), kSwatch + names + values + 2 * kGap) + 2 * kMargin;
    resize(wide, 2 * kMargin + static_cast<int>(m_lines.size() + 1) * metrics.height() + 2);
    // Right of the pointer, or left where there is no room; never over the pointer while there is room beside it.
    const QSize room = parentWidget()->size();
    int x = at.x() + kFromPointer;
    if (x + width() > room.width()) x = at.x() - kFromPointer - width();
    move(std::max(0, x), std::clamp(at.y() - height() / 2, 0, std::max(0, room.height() - height())));
    show();
    raise();
    update();
}

void ValueBox::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(axisColor());
    QColor ground = tipColor();
    ground.setAlphaF(0.92F);
    painter.setBrush(ground);
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
    const int row = painter.fontMetrics().height();
    QRect line(kMargin, kMargin, width() - 2 * kMargin, row);
    painter.setPen(mutedColor());
    painter.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, m_place);
    line.translate(0, row + 2);
    for (const Line& entry : m_lines) {
        QPen pen = entry.pen;
        pen.setWidthF(2);
        painter.setPen(pen);
        const double y = line.center().y() + 0.5;
        painter.drawLine(QPointF(line.left(), y), QPointF(line.left() + kSwatch, y));
        painter.setPen(mutedColor());
        painter.drawText(line.adjusted(kSwatch + kGap, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, entry.name);
        painter.setPen(palette().color(QPalette::WindowText));
        painter.drawText(line, Qt::AlignRight | Qt::AlignVCenter, entry.value);
        line.translate(0, row);
    }
}

}  // namespace linscope::app

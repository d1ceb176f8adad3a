#include "app/panels/elided_label.h"

#include <QHelpEvent>
#include <QPainter>
#include <QStyle>
#include <QToolTip>

#include "app/shell/tool_tips.h"

namespace linscope::app {

ElidedLabel::ElidedLabel(QWidget* parent) : QLabel(parent) {
    setTextFormat(Qt::PlainText);
}

QString ElidedLabel::shownText() const {
    return fontMetrics().elidedText(line(), Qt::ElideRight, contentsRect().width());
}

int ElidedLabel::widthOf(const QString& text) const {
    // A pixel more: advances are rounded, and a text that just fits must not end in "…".
    return fontMetrics().horizontalAdvance(text) + 1 + contentsMargins().left() + contentsMargins().right();
}

QSize ElidedLabel::sizeHint() const {
    return {widthOf(line()), QLabel::sizeHint().height()};
}

QSize ElidedLabel::minimumSizeHint() const {
    return {std::min(widthOf(line()), widthOf(line().left(3) + "…")), QLabel::sizeHint().height()};
}

void ElidedLabel::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    style()->drawItemText(&painter, contentsRect(), static_cast<int>(Qt::AlignLeft | Qt::AlignVCenter), palette(),
                          isEnabled(), shownText(), foregroundRole());
}

bool ElidedLabel::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip || !isElided()) return QLabel::event(event);
    QToolTip::showText(static_cast<QHelpEvent*>(event)->globalPos(), toolTipText(text()), this);
    return true;
}

}  // namespace linscope::app

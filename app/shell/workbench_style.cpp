#include "app/shell/workbench_style.h"

#include <QPainter>
#include <QStyleOption>
#include <algorithm>

#include "app/shell/theme.h"

namespace linscope::app {

WorkbenchStyle::WorkbenchStyle() : QProxyStyle("Fusion") {}

void WorkbenchStyle::drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                                   const QWidget* widget) const {
    if (element != PE_IndicatorCheckBox) return QProxyStyle::drawPrimitive(element, option, painter, widget);
    constexpr int kLargest = 15;
    constexpr double kFaint = 0.45;
    const int side = std::min({kLargest, option->rect.width(), option->rect.height()});
    QRectF box(0, 0, side - 1, side - 1);
    box.moveCenter(QRectF(option->rect).center());
    const bool on = option->state & State_On;
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    if (!(option->state & State_Enabled)) painter->setOpacity(kFaint);
    const bool touched = option->state & (State_MouseOver | State_HasFocus);
    painter->setPen(on || touched ? option->palette.color(QPalette::Link)
                                  : option->palette.color(QPalette::Disabled, QPalette::Text));
    painter->setBrush(on ? option->palette.highlight() : option->palette.base());
    painter->drawRoundedRect(box, 3, 3);
    if (on) {
        painter->setPen(QPen(Qt::white, 1.8, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
        const auto at = [&](double x, double y) {
            return QPointF(box.left() + x * box.width(), box.top() + y * box.height());
        };
        painter->drawPolyline(QPolygonF{at(0.24, 0.52), at(0.43, 0.72), at(0.78, 0.30)});
    }
    painter->restore();
}

QIcon WorkbenchStyle::standardIcon(StandardPixmap wanted, const QStyleOption* option, const QWidget* widget) const {
    return wanted == SP_TitleBarNormalButton ? icon("float") : QProxyStyle::standardIcon(wanted, option, widget);
}

}  // namespace linscope::app

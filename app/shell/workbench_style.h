#pragma once

#include <QProxyStyle>

namespace linscope::app {

/// Fusion, but for what it draws in the colours of its ground on a dark one: boxes to check, and the button that
/// undocks.
class WorkbenchStyle : public QProxyStyle {
    Q_OBJECT
public:
    WorkbenchStyle();
    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget) const override;
    QIcon standardIcon(StandardPixmap icon, const QStyleOption* option, const QWidget* widget) const override;
};

}  // namespace linscope::app

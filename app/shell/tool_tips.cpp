#include "app/shell/tool_tips.h"

#include <QApplication>
#include <QHelpEvent>
#include <QToolTip>
#include <QWidget>
#include <algorithm>

namespace linscope::app {

namespace {
constexpr int kLongest = 70;  // signs of a line

bool isLong(const QString& text) {
    const auto lines = text.split('\n');
    return std::any_of(lines.begin(), lines.end(), [](const QString& line) { return line.size() > kLongest; });
}
}  // namespace

QString toolTipText(const QString& plain) {
    // Qt breaks lines of rich texts alone.
    return isLong(plain) ? "<p style='white-space:pre-wrap'>" + plain.toHtmlEscaped() + "</p>" : plain;
}

ToolTips::ToolTips(QObject* parent) : QObject(parent) {
    qApp->installEventFilter(this);
}

bool ToolTips::eventFilter(QObject* watched, QEvent* event) {
    if (event->type() != QEvent::ToolTip || !watched->isWidgetType()) return false;
    auto* widget = static_cast<QWidget*>(watched);
    const QString text = widget->toolTip();
    if (Qt::mightBeRichText(text) || !isLong(text)) return false;
    QToolTip::showText(static_cast<QHelpEvent*>(event)->globalPos(), toolTipText(text), widget);
    return true;
}

}  // namespace linscope::app

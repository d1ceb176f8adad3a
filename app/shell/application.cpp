#include "app/shell/application.h"

#include <exception>

namespace linscope::app {

bool Application::notify(QObject* receiver, QEvent* event) {
    try {
        return QApplication::notify(receiver, event);
    } catch (const std::exception& error) {
        Q_EMIT failed(QString::fromUtf8(error.what()));
    }
    return false;
}

}  // namespace linscope::app

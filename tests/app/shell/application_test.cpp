#include "app/shell/application.h"

#include <gtest/gtest.h>

#include <QTimer>
#include <stdexcept>

// A program of its own, since there is one application in each.

namespace linscope::app {
namespace {

TEST(Application, TellsWhatASlotThrowsAndGoesOn) {
    qputenv("QT_QPA_PLATFORM", "offscreen");
    int argc = 1;
    char name[] = "test";
    char* argv[] = {name, nullptr};
    Application application(argc, argv);
    QStringList told;
    QObject::connect(&application, &Application::failed, [&](const QString& text) { told << text; });
    QTimer::singleShot(0, [] { throw std::runtime_error("[canvas] the device must answer, but it is gone"); });
    QTimer::singleShot(10, [] { QCoreApplication::exit(7); });
    EXPECT_EQ(QApplication::exec(), 7);
    EXPECT_EQ(told, QStringList{"[canvas] the device must answer, but it is gone"});
}

}  // namespace
}  // namespace linscope::app

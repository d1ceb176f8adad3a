#include <gtest/gtest.h>

#include <QFile>
#include <QImage>
#include <QProcess>
#include <QStandardPaths>

#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

TEST(Screenshot, WritesThePictureOfATrainedWindow) {
    testApplication();
    const QString xvfb = QStandardPaths::findExecutable("xvfb-run");
    if (xvfb.isEmpty()) GTEST_SKIP() << "xvfb-run is not installed";
    QTemporaryDir folder;
    QFile toml(folder.filePath("tiny.toml"));
    ASSERT_TRUE(toml.open(QIODevice::WriteOnly));
    toml.write(QByteArray::fromStdString(tinyExperiment(folder).toToml()));
    toml.close();

    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.remove("QT_QPA_PLATFORM");
    environment.insert("HOME", folder.path());
    process.setProcessEnvironment(environment);
    process.start(xvfb, {"-a", "-s", "-screen 0 1680x1050x24", LINSCOPE_PROGRAM, "gui", toml.fileName(), "--screenshot",
                         folder.filePath("window.png"), "--after-steps", "4"});
    ASSERT_TRUE(process.waitForFinished(120'000));
    EXPECT_EQ(process.exitCode(), 0) << process.readAllStandardError().toStdString();
    const QImage picture(folder.filePath("window.png"));
    EXPECT_GT(picture.width(), 1000);
    EXPECT_GT(picture.height(), 700);
    EXPECT_FALSE(QFile::exists(folder.filePath(".config/linscope/linscope.conf")))
        << "the remembered layout was touched";
}

}  // namespace
}  // namespace linscope::app

#include <gtest/gtest.h>

#include <QFile>
#include <QImage>
#include <QProcess>
#include <QStandardPaths>

#include "app/session/session.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

/// Runs the program on a virtual display of its own; its exit status, and what it says of errors. Not by xvfb-run,
/// which tells of its own trouble in place of the program's status.
int linscopeGui(const QTemporaryDir& folder, const QStringList& arguments, std::string& errors) {
    QProcess server;
    server.start("Xvfb", {"-displayfd", "1", "-screen", "0", "1680x1050x24", "-nolisten", "tcp"});
    if (!server.waitForReadyRead(30'000)) return -1;
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.remove("QT_QPA_PLATFORM");
    environment.insert("HOME", folder.path());
    environment.insert("DISPLAY", ":" + QString(server.readAllStandardOutput()).trimmed());
    process.setProcessEnvironment(environment);
    process.start(LINSCOPE_PROGRAM, QStringList{"gui"} + arguments);
    const bool ended = process.waitForFinished(120'000);
    errors = process.readAllStandardError().toStdString();
    server.terminate();
    server.waitForFinished();
    return ended ? process.exitCode() : -1;
}

TEST(Screenshot, WritesThePictureOfATrainedWindow) {
    testApplication();
    if (QStandardPaths::findExecutable("Xvfb").isEmpty()) GTEST_SKIP() << "Xvfb is not installed";
    QTemporaryDir folder;
    QFile toml(folder.filePath("tiny.toml"));
    ASSERT_TRUE(toml.open(QIODevice::WriteOnly));
    toml.write(QByteArray::fromStdString(tinyExperiment(folder).toToml()));
    toml.close();

    std::string errors;
    EXPECT_EQ(
        linscopeGui(folder, {toml.fileName(), "--screenshot", folder.filePath("window.png"), "--after-steps", "4"},
                    errors),
        0)
        << errors;
    const QImage picture(folder.filePath("window.png"));
    EXPECT_GT(picture.width(), 1000);
    EXPECT_GT(picture.height(), 700);
    EXPECT_FALSE(QFile::exists(folder.filePath(".config/linscope/linscope.conf")))
        << "the remembered layout was touched";
}

TEST(Screenshot, ShowsRunsLaidOverAndRefusesWhatIsNone) {
    testApplication();
    if (QStandardPaths::findExecutable("Xvfb").isEmpty()) GTEST_SKIP() << "Xvfb is not installed";
    QTemporaryDir folder;
    QStringList files;
    {
        Session session;
        for (const std::int64_t steps : {3, 5, 7}) {
            const int id = session.start(tinyExperiment(folder), {.untilStep = steps, .folder = folder.path()});
            ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
            files << QString::fromStdString(session.run(id)->file.string());
        }
    }
    std::string errors;
    const QString picture = folder.filePath("window.png");
    EXPECT_EQ(
        linscopeGui(folder, {"--overlay", files[1], files[0], "--overlay", files[2], "--screenshot", picture}, errors),
        0)
        << errors;
    EXPECT_GT(QImage(picture).width(), 1000);
    const QString lanes = folder.filePath("lanes.png");
    EXPECT_EQ(linscopeGui(folder, {files[0], "--page", "lanes", "--screenshot", lanes}, errors), 0) << errors;
    EXPECT_GT(QImage(lanes).width(), 1000);
    const QString other = folder.filePath("other.png");
    EXPECT_EQ(
        linscopeGui(folder, {files[0], "--overlay", folder.filePath("corpus.txt"), "--screenshot", other}, errors), 1);
    EXPECT_NE(errors.find("corpus.txt"), std::string::npos) << errors;
    // What follows the file of an overlay is what is to be opened, not one more of them.
    const QString experiment = writeFile(folder, "bad.toml", "title = 3");
    EXPECT_EQ(linscopeGui(folder, {"--overlay", files[1], experiment, "--screenshot", other}, errors), 1);
    EXPECT_NE(errors.find("bad.toml:1"), std::string::npos) << errors;
    EXPECT_FALSE(QFile::exists(other));
}

}  // namespace
}  // namespace linscope::app

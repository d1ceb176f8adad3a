#pragma once

#include <gtest/gtest.h>

#include <QApplication>
#include <QDeadlineTimer>
#include <QFile>
#include <QTemporaryDir>
#include <QTimer>
#include <functional>

#include "core/experiment/experiment.h"

namespace linscope::app {

/// The one QApplication of a test program, on the off-screen platform, with settings and data in a folder of its own,
/// since tests run side by side. It lives until the process ends: Qt's own objects are gone before a static one would
/// be destroyed.
inline QApplication& testApplication() {
    static QApplication* const application = [] {
        static int argc = 1;
        static char name[] = "test";
        static char* argv[] = {name, nullptr};
        qputenv("QT_QPA_PLATFORM", "offscreen");
        static const QTemporaryDir folder;
        for (const char* place : {"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"})
            qputenv(place, folder.path().toUtf8());
        QCoreApplication::setOrganizationName("linscope-test");
        QCoreApplication::setApplicationName("linscope-test");
        return new QApplication(argc, argv);
    }();
    return *application;
}

/// Runs the event loop until `condition` holds; false when it does not within the time.
inline bool waitFor(const std::function<bool()>& condition, int milliseconds = 60'000) {
    testApplication();
    const QDeadlineTimer deadline(milliseconds);
    // Sleeps in between, as the window does: a loop that only asks takes a core from the training that it waits for.
    QTimer wake;
    wake.start(5);
    while (!condition()) {
        if (deadline.hasExpired()) return false;
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents);
    }
    return true;
}

/// Writes a file into `folder`; its path.
inline QString writeFile(const QTemporaryDir& folder, const QString& name, const QByteArray& content) {
    QFile file(folder.filePath(name));
    EXPECT_TRUE(file.open(QIODevice::WriteOnly) && file.write(content) == content.size());
    return file.fileName();
}

/// Two lanes so small that a step takes milliseconds, on a text of its own in `folder`.
inline Experiment tinyExperiment(const QTemporaryDir& folder, std::int64_t steps = 1'000'000) {
    QByteArray text;
    for (int i = 0; i < 2000; ++i) text += "line " + QByteArray::number(i * 7919) + " of the corpus\n";
    const QString corpus = writeFile(folder, "corpus.txt", text);
    Experiment experiment = Experiment::fromToml(R"(
title = "tiny"
[model]
layers = 1
width = 16
heads = 2
[[lane]]
name = "full"
attention = { mechanism = "full" }
[[lane]]
name = "linformer"
attention = { mechanism = "linformer", k = 8 }
)",
                                                 "tiny");
    experiment.set("steps", std::to_string(steps));
    experiment.set("task.corpus", corpus.toStdString());
    experiment.set("task.length", "32");
    experiment.set("task.batch", "2");
    experiment.set("probes.every", "5");
    experiment.set("probes.snapshot_every", "5");
    experiment.set("probes.validate_every", "5");
    experiment.set("probes.validation_batches", "1");
    experiment.validate();
    return experiment;
}

}  // namespace linscope::app

#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QString>
#include <QTimer>
#include <optional>

#include "app/shell/main_window.h"

namespace linscope::app {

/// Waits until the run of the window has ended (or its file is read) and the canvas has drawn its newest
/// snapshot, writes a picture of the window, and ends the program: status 0, or 1 with the reason on stderr.
class Screenshot : public QObject {
    Q_OBJECT
public:
    /// `atStep`: of a finished run, the stored step to show, or the last one before it.
    Screenshot(MainWindow& window, Session& session, QString path, std::optional<std::int64_t> atStep,
               QObject* parent = nullptr);

private:
    void check();
    /// The run has ended or is read, and the step that is asked for is selected.
    bool isReady();
    void take();
    void fail(const QString& reason);

    MainWindow& m_window;
    Session& m_session;
    QString m_path;
    std::optional<std::int64_t> m_atStep;
    QTimer m_poll;
    QElapsedTimer m_ended;  // runs since all but the picture was there
    int m_frames = 0;       // drawn since the newest snapshot came
    bool m_done = false;
};

}  // namespace linscope::app

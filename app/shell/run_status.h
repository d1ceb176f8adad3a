#pragma once

#include <QWidget>

#include "app/session/session.h"

class QLabel;
class QProgressBar;

namespace linscope::app {

class ElidedLabel;

/// The right part of the status bar: state, progress, rate and time left of the selected run.
class RunStatus : public QWidget {
    Q_OBJECT
public:
    explicit RunStatus(Session& session, QWidget* parent = nullptr);

protected:
    void changeEvent(QEvent* event) override;

private:
    void update();

    Session& m_session;
    QLabel* m_sign;
    ElidedLabel* m_state;  ///< what a run waits for may be a long sentence
    QLabel* m_place;
    QProgressBar* m_progress;
    QLabel* m_step;
    QLabel* m_rate;
    QLabel* m_left;
};

}  // namespace linscope::app

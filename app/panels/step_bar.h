#pragma once

#include <QWidget>
#include <vector>

#include "app/session/session.h"

class QLabel;
class QSlider;
class QToolButton;

namespace linscope::app {

/// Goes through the stored steps of the selected run; "Live" follows the newest one.
class StepBar : public QWidget {
    Q_OBJECT
public:
    explicit StepBar(Session& session, QWidget* parent = nullptr);

public Q_SLOTS:
    void previous();
    void next();
    void goLive();

private:
    void update();
    void showAt(int position);

    Session& m_session;
    std::vector<std::int64_t> m_steps;
    QSlider* m_slider;
    QToolButton* m_previous;
    QToolButton* m_next;
    QToolButton* m_live;
    QLabel* m_text;
};

}  // namespace linscope::app

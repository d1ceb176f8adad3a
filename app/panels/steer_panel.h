#pragma once

#include <QWidget>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "app/session/session.h"

class QCheckBox;
class QLineEdit;
class QLabel;
class QPushButton;
class QVBoxLayout;

namespace linscope::app {

/// What a person can change while a run goes on: the learning rate, and whether projections learn. Every
/// change is logged by the trainer as an event with its step.
class SteerPanel : public QWidget {
    Q_OBJECT
public:
    explicit SteerPanel(Session& session, QWidget* parent = nullptr);

private:
    void update();
    void rebuild();
    void applyRate();

    Session& m_session;
    int m_run = -2;
    std::optional<double> m_peak;  ///< that the field was given
    QLineEdit* m_rate;
    QPushButton* m_apply;
    QLabel* m_problem;
    QLabel* m_now;
    QVBoxLayout* m_lanes;
    std::vector<std::pair<int, QCheckBox*>> m_freezers;  // lane → box
    std::map<int, bool> m_asked;                         // not done yet
    std::vector<bool> m_freezable;                       // as in the record when the boxes were made
};

}  // namespace linscope::app

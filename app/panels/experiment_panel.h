#pragma once

#include <QWidget>
#include <map>
#include <vector>

#include "app/models/experiment_draft.h"
#include "app/panels/field_editor.h"
#include "app/session/session.h"

class QFormLayout;
class QLabel;
class QPushButton;
class QScrollArea;

namespace linscope::app {

/// The experiment editor: one field for each option, checked while a person types; starts new runs.
class ExperimentPanel : public QWidget {
    Q_OBJECT
public:
    explicit ExperimentPanel(Session& session, QWidget* parent = nullptr);

    ExperimentDraft& draft() { return m_draft; }
    /// nullptr when there is no such key.
    FieldEditor* field(const std::string& key) const;
    QPushButton* startButton() const { return m_start; }

public Q_SLOTS:
    void start();
    void askLoad();
    void askSave();

protected:
    void changeEvent(QEvent* event) override;

private:
    QWidget* makeButtons();
    void rebuild();
    QWidget* addSection(QFormLayout* form, const std::string& section, std::size_t& lane);
    void showErrors();

    Session& m_session;
    ExperimentDraft m_draft;
    QScrollArea* m_scroll;
    QLabel* m_problem;
    QPushButton* m_start;
    QPushButton* m_addLane;
    std::map<std::string, FieldEditor*> m_fields;
    std::vector<QLabel*> m_swatches;  ///< by lane
    bool m_rebuildDue = false;
    bool m_laneAdded = false;  ///< to be brought into sight by the rebuild that is due
};

}  // namespace linscope::app

#pragma once

#include <QWidget>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "app/models/experiment_draft.h"
#include "app/panels/field_editor.h"
#include "app/session/session.h"

class QFormLayout;
class QLabel;
class QPushButton;
class QScrollArea;
class QToolButton;

namespace linscope::app {

class ElidedLabel;

/// The experiment editor: one field for each option, checked while a person types; starts new runs. Lanes, which are
/// what is compared, come first; sections fold, and those that are seldom changed are folded at first.
class ExperimentPanel : public QWidget {
    Q_OBJECT
public:
    explicit ExperimentPanel(Session& session, QWidget* parent = nullptr);

    ExperimentDraft& draft() { return m_draft; }
    /// nullptr when there is no such key.
    FieldEditor* field(const std::string& key) const;
    QPushButton* startButton() const { return m_start; }
    bool isFolded(const std::string& section) const { return m_folded.contains(section); }
    void fold(const std::string& section, bool folded);

public Q_SLOTS:
    void start();
    void askLoad();
    void askSave();

protected:
    void changeEvent(QEvent* event) override;

private:
    QWidget* makeButtons();
    void rebuild();
    /// Fields of the draft in the order in which they stand.
    std::vector<ExperimentField> orderedFields() const;
    QWidget* addSection(QFormLayout* form, const std::string& section);
    void showFolded(const std::string& name);
    /// What stands beside the name of a folded section.
    QString summaryOf(const std::string& section) const;
    void showErrors();

    Session& m_session;
    ExperimentDraft m_draft;
    QScrollArea* m_scroll;
    QLabel* m_problem;
    QPushButton* m_start;
    QPushButton* m_addLane;
    std::map<std::string, FieldEditor*> m_fields;
    struct Section {
        QToolButton* toggle = nullptr;
        ElidedLabel* summary = nullptr;
        std::vector<FieldEditor*> editors;
    };
    std::vector<QLabel*> m_swatches;  ///< by lane
    std::map<std::string, Section> m_sections;
    std::set<std::string> m_folded{"optimizer", "probes", "checkpoint"};
    QFormLayout* m_form = nullptr;
    bool m_rebuildDue = false;
    bool m_laneAdded = false;  ///< to be brought into sight by the rebuild that is due
};

}  // namespace linscope::app

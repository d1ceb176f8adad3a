#pragma once

#include <QWidget>

#include "app/models/run_tree_model.h"

class QLabel;
class QTreeView;

namespace linscope::app {

/// Open runs with their lanes; a click selects, the context menu closes. Below stands where new runs go.
class RunsPanel : public QWidget {
    Q_OBJECT
public:
    explicit RunsPanel(Session& session, QWidget* parent = nullptr);
    /// Says the folder of new runs again.
    void showFolder();

Q_SIGNALS:
    void folderChangeAsked();
    /// A person has chosen a lane of the selected run.
    void laneChosen(int lane);

private:
    void select(const QModelIndex& index);
    void showMenu(const QPoint& position);

    Session& m_session;
    RunTreeModel* m_model;
    QTreeView* m_view;
    QLabel* m_folder;
    bool m_following = false;  ///< the current row follows the session's selection
};

}  // namespace linscope::app

#pragma once

#include <QWidget>

#include "app/models/run_tree_model.h"

class QLabel;
class QTreeView;

namespace linscope::app {

/// Open runs with their lanes; a click selects, the context menu closes. Below stands where new runs go, and
/// at first the run that one may want to go on with.
class RunsPanel : public QWidget {
    Q_OBJECT
public:
    explicit RunsPanel(Session& session, QWidget* parent = nullptr);
    /// Says the folder of new runs again.
    void showFolder();
    /// Offers to go on with this run file, until that is done or the file is open.
    void offer(const QString& file);

Q_SIGNALS:
    void folderChangeAsked();
    void goOnAsked(const QString& file);
    /// A person has chosen a lane of the selected run.
    void laneChosen(int lane);

protected:
    void changeEvent(QEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    void showLinks();
    void select(const QModelIndex& index);
    void showMenu(const QPoint& position);

    Session& m_session;
    RunTreeModel* m_model;
    QTreeView* m_view;
    QLabel* m_offer;
    QLabel* m_folder;
    QString m_offered;         ///< the run file; empty: none
    bool m_following = false;  ///< the current row follows the session's selection
};

}  // namespace linscope::app

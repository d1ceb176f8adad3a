#pragma once

#include <QAbstractItemModel>
#include <QTimer>
#include <vector>

#include "app/session/session.h"

namespace linscope::app {

/// Open runs and, below each, its lanes: state, step, last loss.
class RunTreeModel : public QAbstractItemModel {
    Q_OBJECT
public:
    enum Column { Name, State, Step, Loss, ColumnCount };
    enum Role { RunIdRole = Qt::UserRole, LaneRole };  ///< LaneRole is −1 for a run

    explicit RunTreeModel(Session& session, QObject* parent = nullptr);

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& child) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& = {}) const override { return ColumnCount; }
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

    QModelIndex indexOf(int runId, int lane = -1) const;

private:
    struct Item {
        int runId = 0;
        int lanes = 0;
    };
    int rowOf(int runId) const;
    void syncLanes(int runId);
    void touch(int runId);
    QVariant runText(const Run& run, int column) const;
    QVariant laneText(const Run& run, int lane, int column) const;
    QVariant toolTip(const Run& run, int lane) const;

    Session& m_session;
    std::vector<Item> m_items;
    std::vector<int> m_touched;
    QTimer m_refresh;
};

}  // namespace linscope::app

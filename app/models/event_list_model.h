#pragma once

#include <QAbstractTableModel>

#include "app/session/session.h"

namespace linscope::app {

/// The log of the selected run, oldest first: states, commands, checkpoints, lanes that stopped.
class EventListModel : public QAbstractTableModel {
    Q_OBJECT
public:
    enum Column { Step, Lane, Text, ColumnCount };

    explicit EventListModel(Session& session, QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : m_rows; }
    int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : ColumnCount; }
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    void reload();
    void grow();

    Session& m_session;
    int m_run = -1;
    int m_rows = 0;
};

}  // namespace linscope::app

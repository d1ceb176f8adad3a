#include "app/models/event_list_model.h"

#include <QColor>

#include "app/shell/theme.h"
#include "app/shell/tool_tips.h"

namespace linscope::app {

EventListModel::EventListModel(Session& session, QObject* parent) : QAbstractTableModel(parent), m_session(session) {
    connect(&session, &Session::selectionChanged, this, [this] {
        if (m_session.selection().run != m_run) reload();
    });
    connect(&session, &Session::runChanged, this, [this](int id) {
        if (id == m_run) grow();
    });
    reload();
}

void EventListModel::reload() {
    beginResetModel();
    m_run = m_session.selection().run;
    const Run* run = m_session.current();
    m_rows = run ? static_cast<int>(run->record.log.size()) : 0;
    endResetModel();
}

void EventListModel::grow() {
    const Run* run = m_session.run(m_run);
    const int rows = run ? static_cast<int>(run->record.log.size()) : 0;
    if (rows < m_rows) return reload();
    if (rows == m_rows) return;
    beginInsertRows({}, m_rows, rows - 1);
    m_rows = rows;
    endInsertRows();
}

QVariant EventListModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return {};
    switch (section) {
        case Step:
            return tr("Step");
        case Lane:
            return tr("Lane");
        default:
            return tr("What happened");
    }
}

QVariant EventListModel::data(const QModelIndex& index, int role) const {
    const Run* run = m_session.run(m_run);
    if (!index.isValid() || !run || index.row() >= static_cast<int>(run->record.log.size())) return {};
    const LogEntry& entry = run->record.log[index.row()];
    const bool ofLane = entry.lane >= 0 && entry.lane < static_cast<int>(run->record.lanes.size());
    switch (role) {
        case Qt::ToolTipRole:
            if (index.column() == Text) return toolTipText(QString::fromStdString(entry.text));
            [[fallthrough]];
        case Qt::DisplayRole:
            if (index.column() == Step) return QString::number(entry.step);
            if (index.column() == Lane)
                return ofLane ? QString::fromStdString(run->record.lanes[entry.lane].name) : tr("all");
            return QString::fromStdString(entry.text);
        case Qt::DecorationRole:
            return ofLane && index.column() == Lane ? QVariant(laneSwatch(entry.lane)) : QVariant();
        case Qt::ForegroundRole:
            return entry.kind == LogKind::Lane ? QVariant(errorColor()) : QVariant();
        case Qt::TextAlignmentRole:
            return int(index.column() == Step ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter;
        default:
            return {};
    }
}

}  // namespace linscope::app

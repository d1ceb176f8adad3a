#include "app/models/run_tree_model.h"

#include <QColor>
#include <QFont>
#include <QIcon>
#include <algorithm>

#include "app/shell/theme.h"
#include "app/shell/tool_tips.h"

namespace linscope::app {

namespace {

// Numbers that change faster cannot be read, and drawing them would take time from training.
constexpr int kRefreshMilliseconds = 200;

// A lane's index carries its run's id, a run's index carries none.
constexpr quintptr kRun = 0;

}  // namespace

RunTreeModel::RunTreeModel(Session& session, QObject* parent) : QAbstractItemModel(parent), m_session(session) {
    for (const auto& run : session.runs()) m_items.push_back({run->id, static_cast<int>(run->record.lanes.size())});
    m_refresh.setSingleShot(true);
    m_refresh.setInterval(kRefreshMilliseconds);
    connect(&m_refresh, &QTimer::timeout, this, [this] {
        for (const int id : m_touched) touch(id);
        m_touched.clear();
    });
    connect(&session, &Session::runAdded, this, [this](int id) {
        const int row = static_cast<int>(m_items.size());
        beginInsertRows({}, row, row);
        m_items.push_back({id, static_cast<int>(m_session.run(id)->record.lanes.size())});
        endInsertRows();
    });
    connect(&session, &Session::runRemoved, this, [this](int id) {
        const int row = rowOf(id);
        if (row < 0) return;
        beginRemoveRows({}, row, row);
        m_items.erase(m_items.begin() + row);
        endRemoveRows();
    });
    connect(&session, &Session::runStateChanged, this, &RunTreeModel::touch);
    connect(&session, &Session::runChanged, this, [this](int id) {
        syncLanes(id);
        if (std::find(m_touched.begin(), m_touched.end(), id) == m_touched.end()) m_touched.push_back(id);
        if (!m_refresh.isActive()) m_refresh.start();
    });
}

int RunTreeModel::rowOf(int runId) const {
    const auto found =
        std::find_if(m_items.begin(), m_items.end(), [&](const Item& item) { return item.runId == runId; });
    return found == m_items.end() ? -1 : static_cast<int>(found - m_items.begin());
}

void RunTreeModel::syncLanes(int runId) {
    const int row = rowOf(runId);
    if (row < 0) return;
    const int lanes = static_cast<int>(m_session.run(runId)->record.lanes.size());
    if (lanes <= m_items[row].lanes) return;
    beginInsertRows(index(row, 0), m_items[row].lanes, lanes - 1);
    m_items[row].lanes = lanes;
    endInsertRows();
}

void RunTreeModel::touch(int runId) {
    const int row = rowOf(runId);
    if (row < 0) return;
    const QModelIndex run = index(row, 0);
    Q_EMIT dataChanged(run, index(row, ColumnCount - 1));
    if (m_items[row].lanes > 0)
        Q_EMIT dataChanged(index(0, 0, run), index(m_items[row].lanes - 1, ColumnCount - 1, run));
}

QModelIndex RunTreeModel::index(int row, int column, const QModelIndex& parent) const {
    if (column < 0 || column >= ColumnCount || row < 0 || row >= rowCount(parent)) return {};
    if (!parent.isValid()) return createIndex(row, column, kRun);
    return createIndex(row, column, static_cast<quintptr>(m_items[parent.row()].runId));
}

QModelIndex RunTreeModel::parent(const QModelIndex& child) const {
    if (!child.isValid() || child.internalId() == kRun) return {};
    const int row = rowOf(static_cast<int>(child.internalId()));
    return row < 0 ? QModelIndex() : createIndex(row, 0, kRun);
}

int RunTreeModel::rowCount(const QModelIndex& parent) const {
    if (!parent.isValid()) return static_cast<int>(m_items.size());
    if (parent.internalId() != kRun || parent.column() != 0) return 0;
    return m_items[parent.row()].lanes;
}

QModelIndex RunTreeModel::indexOf(int runId, int lane) const {
    const int row = rowOf(runId);
    if (row < 0) return {};
    return lane < 0 ? index(row, 0) : index(lane, 0, index(row, 0));
}

QVariant RunTreeModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal) return {};
    if (role == Qt::TextAlignmentRole) return int(section >= Step ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter;
    if (role != Qt::DisplayRole) return {};
    switch (section) {
        case Name:
            return tr("Run and lanes");
        case State:
            return tr("State");
        case Step:
            return tr("Step");
        default:
            return tr("Loss");
    }
}

QVariant RunTreeModel::runText(const Run& run, int column) const {
    switch (column) {
        case Name:
            return QString::fromStdString(run.record.experiment.title);
        case State:
            return stateText(run);
        case Step:
            return QString::number(run.record.lastStep);
        default:
            return {};
    }
}

QVariant RunTreeModel::laneText(const Run& run, int lane, int column) const {
    const LaneRecord& record = run.record.lanes[lane];
    const Series* loss = findSeries(record, "loss");
    const bool measured = loss && !loss->values.empty();
    switch (column) {
        case Name:
            return QString::fromStdString(record.name);
        case State:
            return record.state == LaneState::Running ? QString() : QString::fromUtf8(nameOf(record.state));
        case Step:
            return measured ? QString::number(loss->steps.back()) : QString();
        default:
            return measured ? QString::number(loss->values.back(), 'f', 4) : QString();
    }
}

QVariant RunTreeModel::toolTip(const Run& run, int lane) const {
    if (lane < 0) {
        QString text = QString::fromStdString(run.file.string());
        if (!run.record.taskDescription.empty()) text += "\n" + QString::fromStdString(run.record.taskDescription);
        if (!run.error.empty()) text += "\n" + QString::fromStdString(run.error);
        const QString detail = stateDetail(run);
        if (!detail.isEmpty()) text += "\n" + stateText(run) + ": " + detail;
        return text;
    }
    const LaneRecord& record = run.record.lanes[lane];
    QString text =
        tr("%1: mechanism %2").arg(QString::fromStdString(record.name), QString::fromStdString(record.mechanism));
    if (record.parameters > 0) text += tr(", %L1 parameters").arg(record.parameters);
    if (!record.message.empty()) text += "\n" + QString::fromStdString(record.message);
    return text;
}

QVariant RunTreeModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid()) return {};
    const bool isLane = index.internalId() != kRun;
    const int id = isLane ? static_cast<int>(index.internalId()) : m_items[index.row()].runId;
    const Run* run = m_session.run(id);
    const int lane = isLane ? index.row() : -1;
    if (!run || lane >= static_cast<int>(run->record.lanes.size())) return {};
    switch (role) {
        case Qt::DisplayRole:
            return isLane ? laneText(*run, lane, index.column()) : runText(*run, index.column());
        case Qt::DecorationRole:
            return isLane && index.column() == Name ? QVariant(laneSwatch(lane)) : QVariant();
        case Qt::ToolTipRole:
            return toolTipText(toolTip(*run, lane).toString());
        case Qt::TextAlignmentRole:
            return int(index.column() >= Step ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter;
        case Qt::ForegroundRole:
            if (isLane ? run->record.lanes[lane].state != LaneState::Running : !run->error.empty())
                return QColor(errorColor());
            return {};
        case Qt::FontRole: {
            QFont font;
            font.setBold(!isLane);
            return font;
        }
        case RunIdRole:
            return id;
        case LaneRole:
            return lane;
        default:
            return {};
    }
}

}  // namespace linscope::app

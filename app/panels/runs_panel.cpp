#include "app/panels/runs_panel.h"

#include <QApplication>
#include <QClipboard>
#include <QDir>
#include <QFileInfo>
#include <QHeaderView>
#include <QLabel>
#include <QMenu>
#include <QRegularExpression>
#include <QTreeView>
#include <QVBoxLayout>

#include "app/session/runs_folder.h"
#include "app/shell/theme.h"
#include "core/train/checkpoint_state.h"

namespace linscope::app {

RunsPanel::RunsPanel(Session& session, QWidget* parent)
    : QWidget(parent),
      m_session(session),
      m_model(new RunTreeModel(session, this)),
      m_view(new QTreeView),
      m_offer(new QLabel),
      m_folder(new QLabel) {
    m_view->setModel(m_model);
    m_view->setIndentation(12);
    m_view->setUniformRowHeights(true);
    m_view->setContextMenuPolicy(Qt::CustomContextMenu);
    m_view->setAccessibleName(tr("Open runs and their lanes"));
    QHeaderView* header = m_view->header();
    header->setStretchLastSection(false);
    header->setSectionResizeMode(RunTreeModel::Name, QHeaderView::Stretch);
    for (const auto& [column, width] :
         {std::pair(RunTreeModel::State, 62), std::pair(RunTreeModel::Step, 46), std::pair(RunTreeModel::Loss, 54)}) {
        header->setSectionResizeMode(column, QHeaderView::Fixed);
        header->resizeSection(column, width);
    }
    for (QLabel* label : {m_offer, m_folder}) {
        label->setProperty("muted", true);
        label->setContentsMargins(8, 4, 8, 4);
        label->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
        label->setTextFormat(Qt::RichText);
    }
    m_offer->setObjectName("offer");
    m_offer->hide();

    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_view, 1);
    layout->addWidget(m_offer);
    layout->addWidget(m_folder);
    showFolder();

    connect(m_offer, &QLabel::linkActivated, this, [this] { Q_EMIT goOnAsked(m_offered); });
    connect(&session, &Session::runAdded, this, [this](int id) {
        if (!m_offered.isEmpty() && m_session.run(id)->file == wholePath(m_offered)) m_offer->hide();
    });
    connect(m_folder, &QLabel::linkActivated, this, &RunsPanel::folderChangeAsked);
    connect(m_view->selectionModel(), &QItemSelectionModel::currentChanged, this, [this](const QModelIndex& index) {
        if (!m_following) select(index);
    });
    connect(m_view, &QTreeView::customContextMenuRequested, this, &RunsPanel::showMenu);
    connect(m_model, &QAbstractItemModel::rowsInserted, this, [this] { m_view->expandAll(); });
    connect(&session, &Session::selectionChanged, this, [this] {
        const Selection& selection = m_session.selection();
        const QModelIndex current = m_view->currentIndex();
        if (current.data(RunTreeModel::RunIdRole).toInt() == selection.run &&
            (current.data(RunTreeModel::LaneRole).toInt() < 0 ||
             current.data(RunTreeModel::LaneRole).toInt() == selection.lane))
            return;
        m_following = true;
        m_view->setCurrentIndex(m_model->indexOf(
            selection.run, current.data(RunTreeModel::RunIdRole).toInt() == selection.run ? selection.lane : -1));
        m_following = false;
    });
}

void RunsPanel::changeEvent(QEvent* event) {
    QWidget::changeEvent(event);
    if (!isNewLook(*event)) return;
    for (QLabel* label : {m_offer, m_folder}) label->clear();  // a link has the colour of the time when it was set
    showLinks();
}

void RunsPanel::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    showLinks();
}

void RunsPanel::showLinks() {
    // What can be clicked stays in sight: the name in the sentence gives way.
    const auto say = [this](QLabel& label, const QString& sentence, const QString& name) {
        QString rest = sentence.arg(QString());
        rest.remove(QRegularExpression("<[^>]*>"));
        const int room = width() - label.contentsMargins().left() - label.contentsMargins().right() -
                         label.fontMetrics().horizontalAdvance(rest) - 4;
        label.setText(sentence.arg(label.fontMetrics().elidedText(name, Qt::ElideMiddle, room).toHtmlEscaped()));
    };
    QString folder = QDir::toNativeSeparators(runsFolder());
    if (folder.startsWith(QDir::homePath())) folder.replace(0, QDir::homePath().size(), "~");
    say(*m_folder, tr("New runs go to <a href='change'>%1</a>"), folder);
    say(*m_offer, tr("Last time: %1 · <a href='on'>go on with it</a>"), QFileInfo(m_offered).completeBaseName());
}

void RunsPanel::showFolder() {
    showLinks();
    m_folder->setToolTip(tr("%1\nClick to choose another folder").arg(QDir::toNativeSeparators(runsFolder())));
}

void RunsPanel::offer(const QString& file) {
    m_offered = file;
    showLinks();
    m_offer->setToolTip(
        tr("%1\nA click opens it and goes on from its newest checkpoint; what trains now is stopped").arg(file));
    m_offer->show();
}

void RunsPanel::select(const QModelIndex& index) {
    if (!index.isValid()) return;
    const int lane = index.data(RunTreeModel::LaneRole).toInt();
    m_session.selectRun(index.data(RunTreeModel::RunIdRole).toInt());
    if (lane < 0) return;
    m_session.selectHead(lane, m_session.selection().layer, m_session.selection().head);
    Q_EMIT laneChosen(lane);
}

void RunsPanel::showMenu(const QPoint& position) {
    const QModelIndex index = m_view->indexAt(position);
    if (!index.isValid()) return;
    const int id = index.data(RunTreeModel::RunIdRole).toInt();
    const Run* run = m_session.run(id);
    if (!run) return;
    QMenu menu;
    const QString file = QString::fromStdString(run->file.string());
    menu.addAction(tr("Copy the path of the run file"), this, [file] { QApplication::clipboard()->setText(file); });
    QAction* lay =
        menu.addAction(tr("Lay its curves over the charts"), this, [this, file] { m_session.overlays().lay(file); });
    lay->setEnabled(!run->loading && !run->file.empty() && id != m_session.selection().run);
    QAction* resume =
        menu.addAction(tr("Go on from the newest checkpoint"), this, [this, id] { m_session.resume(id); });
    resume->setEnabled(run->canGoOn() && !listCheckpoints(checkpointFolder(run->file)).empty());
    menu.addSeparator();
    menu.addAction(run->live() ? tr("Stop and close this run") : tr("Close this run"), this,
                   [this, id] { m_session.close(id); });
    menu.exec(m_view->viewport()->mapToGlobal(position));
}

}  // namespace linscope::app

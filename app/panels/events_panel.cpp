#include "app/panels/events_panel.h"

#include <QHeaderView>
#include <QScrollBar>
#include <QTableView>
#include <QVBoxLayout>
#include <algorithm>

namespace linscope::app {

EventsPanel::EventsPanel(Session& session, QWidget* parent)
    : QWidget(parent), m_session(session), m_model(new EventListModel(session, this)), m_view(new QTableView) {
    m_view->setModel(m_model);
    m_view->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_view->setShowGrid(false);
    m_view->setAlternatingRowColors(true);
    m_view->setWordWrap(false);
    m_view->verticalHeader()->hide();
    m_view->verticalHeader()->setDefaultSectionSize(22);
    m_view->horizontalHeader()->setStretchLastSection(true);
    m_view->horizontalHeader()->setHighlightSections(false);
    m_view->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    m_view->setColumnWidth(EventListModel::Step, 54);
    m_view->setColumnWidth(EventListModel::Lane, 80);  // what happened needs the room
    m_view->setAccessibleName(tr("Events of the run"));
    m_view->setToolTip(tr("Double click: show the stored step before this event"));
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_view);

    connect(m_view, &QTableView::doubleClicked, this, &EventsPanel::showStep);
    // The newest stays in sight unless a person has scrolled up to read.
    connect(m_model, &QAbstractItemModel::rowsInserted, this, [this] {
        const QScrollBar* bar = m_view->verticalScrollBar();
        if (bar->value() >= bar->maximum() - 2)
            QMetaObject::invokeMethod(m_view, "scrollToBottom", Qt::QueuedConnection);
    });
}

void EventsPanel::showStep(const QModelIndex& index) {
    const Run* run = m_session.current();
    if (!run || index.row() >= static_cast<int>(run->record.log.size())) return;
    const auto steps = run->record.snapshotSteps();
    const auto after = std::upper_bound(steps.begin(), steps.end(), run->record.log[index.row()].step);
    if (after != steps.begin()) m_session.selectStep(*std::prev(after));
}

}  // namespace linscope::app

#include "app/shell/central_widget.h"

#include <QVBoxLayout>

#include "app/panels/step_bar.h"

namespace linscope::app {

CentralWidget::CentralWidget(Session& session, QWidget* parent)
    : QWidget(parent), m_session(session), m_canvas(new CanvasWidget), m_steps(new StepBar(session)) {
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_canvas, 1);
    layout->addWidget(m_steps);

    connect(m_canvas, &CanvasWidget::selectionChanged, &session, &Session::selectHead);
    // Queued: docks are moved by it, and the canvas is inside its own drawing.
    connect(m_canvas, &CanvasWidget::pageChanged, this, &CentralWidget::pageChanged, Qt::QueuedConnection);
    connect(&session, &Session::selectionChanged, this, &CentralWidget::followRun);
    connect(&session, &Session::runStateChanged, this, &CentralWidget::followRun);
    connect(&session, &Session::snapshotChanged, m_canvas, &CanvasWidget::setSnapshot);
    followRun();
}

void CentralWidget::setPage(CanvasWidget::Page page) {
    m_canvas->setPage(page);
    Q_EMIT pageChanged();
}

void CentralWidget::followRun() {
    const Run* run = m_session.current();
    QStringList lanes;
    if (run)
        for (const LaneRecord& lane : run->record.lanes) lanes << QString::fromStdString(lane.name);
    const int id = m_session.selection().run;
    m_canvas->setCuda(m_session.device() != "cpu");  // maps are computed where runs are
    if (id != m_run || lanes != m_lanes) {
        m_run = id;
        m_lanes = lanes;
        m_canvas->setLanes(lanes);
    }
    m_canvas->setFailure(run ? QString::fromStdString(run->error) : QString());
    const TokenTexts texts = run ? run->tokenTexts : nullptr;
    if (texts == m_tokenTexts) return;
    m_tokenTexts = texts;
    m_canvas->setTokenText([texts](std::int32_t token) {
        return texts && token >= 0 && static_cast<std::size_t>(token) < texts->size() ? (*texts)[token]
                                                                                      : std::to_string(token);
    });
}

}  // namespace linscope::app

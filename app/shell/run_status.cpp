#include "app/shell/run_status.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QProgressBar>
#include <algorithm>
#include <cmath>

#include "app/panels/elided_label.h"
#include "app/shell/theme.h"
#include "core/base/amount_text.h"

namespace linscope::app {

namespace {

constexpr int kWidestState = 260;

QColor stateColor(const Run& run) {
    if (!run.error.empty()) return errorColor();
    if (run.loading) return mutedColor();
    if (run.record.health == RunHealth::CutOff) return errorColor();
    switch (run.record.state) {
        case RunState::Running:
            return goodColor();
        case RunState::Paused:
            return warningColor();
        case RunState::Waiting:
            return errorColor();
        default:
            return mutedColor();
    }
}

}  // namespace

RunStatus::RunStatus(Session& session, QWidget* parent)
    : QWidget(parent),
      m_session(session),
      m_sign(new QLabel),
      m_state(new ElidedLabel),
      m_place(new QLabel),
      m_progress(new QProgressBar),
      m_step(new QLabel),
      m_rate(new QLabel),
      m_left(new QLabel) {
    m_progress->setTextVisible(false);
    m_progress->setFixedWidth(160);
    m_progress->setAccessibleName(tr("Progress of the run"));
    m_progress->setToolTip(tr("Steps done"));
    m_rate->setToolTip(tr("Of the last seconds: steps of all lanes together, and tokens that each lane reads"));
    m_left->setToolTip(tr("At the present rate"));
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(8, 0, 8, 0);
    layout->setSpacing(14);
    auto* state = new QHBoxLayout;
    state->setSpacing(5);
    state->addWidget(m_sign);
    state->addWidget(m_state);
    layout->addLayout(state);
    for (QWidget* part : std::initializer_list<QWidget*>{m_place, m_progress, m_step, m_rate, m_left})
        layout->addWidget(part);
    m_state->setSizePolicy(QSizePolicy::Maximum, QSizePolicy::Preferred);
    m_state->setMaximumWidth(kWidestState);
    connect(&session, &Session::runChanged, this, [this](int id) {
        if (id == m_session.selection().run) update();
    });
    connect(&session, &Session::runStateChanged, this, &RunStatus::update);
    connect(&session, &Session::selectionChanged, this, &RunStatus::update);
    update();
}

void RunStatus::changeEvent(QEvent* event) {
    QWidget::changeEvent(event);
    if (isNewLook(*event)) update();
}

void RunStatus::update() {
    const Run* run = m_session.current();
    m_progress->setVisible(run);
    if (!run) {
        m_sign->clear();
        m_state->setText(tr("no run"));
        for (QLabel* label : {m_place, m_step, m_rate, m_left}) label->clear();
        return;
    }
    const QString detail = stateDetail(*run);
    m_sign->setText(QString("<span style='color:%1'>●</span>").arg(stateColor(*run).name()));
    m_state->setText(detail.isEmpty() ? stateText(*run) : stateText(*run) + ": " + detail);
    const QString place = QString::fromStdString(run->record.place);
    m_place->setText(run->live() && !place.isEmpty() ? tr("on %1").arg(place.section(',', 0, 0)) : QString());
    m_place->setToolTip(place);
    const std::int64_t total = std::max<std::int64_t>(1, run->totalSteps());
    m_progress->setRange(0, 1000);
    m_progress->setValue(static_cast<int>(1000 * std::min(run->record.lastStep, total) / total));
    m_step->setText(tr("step %L1 / %L2").arg(run->record.lastStep).arg(total));

    const double rate = run->pace.stepsPerSecond();
    const bool going = run->live() && run->record.state == RunState::Running && rate > 0;
    m_rate->setVisible(going);
    m_left->setVisible(going);
    if (!going) return;
    const double tokens = rate * static_cast<double>(run->record.experiment.length() * run->record.experiment.batch());
    m_rate->setText(tr("%1 steps/s · %L2 tokens/s").arg(rate, 0, 'f', rate < 10 ? 2 : 1).arg(tokens, 0, 'f', 0));
    m_left->setText(tr("%1 left").arg(
        QString::fromStdString(durationText(static_cast<double>(total - run->record.lastStep) / rate))));
}

}  // namespace linscope::app

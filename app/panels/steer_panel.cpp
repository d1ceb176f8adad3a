#include "app/panels/steer_panel.h"

#include <QCheckBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalBlocker>
#include <QVBoxLayout>
#include <utility>

#include "app/shell/theme.h"

namespace linscope::app {

SteerPanel::SteerPanel(Session& session, QWidget* parent)
    : QWidget(parent),
      m_session(session),
      m_rate(new QLineEdit),
      m_apply(new QPushButton(tr("Set"))),
      m_problem(new QLabel),
      m_now(new QLabel),
      m_lanes(new QVBoxLayout) {
    m_rate->setToolTip(tr("New peak learning rate of the running run, all lanes; the schedule goes on from it"));
    m_rate->setAccessibleName(tr("Peak learning rate"));
    m_apply->setToolTip(tr("Changes the rate between two steps; logged as an event"));
    m_problem->setProperty("error", true);
    m_problem->setWordWrap(true);
    m_problem->hide();
    m_now->setProperty("muted", true);

    auto* row = new QHBoxLayout;
    row->addWidget(new QLabel(tr("Learning rate")));
    row->addWidget(m_rate, 1);
    row->addWidget(m_apply);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(8, 6, 8, 6);
    layout->setSpacing(4);
    layout->addLayout(row);
    layout->addWidget(m_problem);
    layout->addWidget(m_now);
    layout->addLayout(m_lanes);
    layout->addStretch();

    connect(m_apply, &QPushButton::clicked, this, &SteerPanel::applyRate);
    connect(m_rate, &QLineEdit::returnPressed, this, &SteerPanel::applyRate);
    connect(&session, &Session::selectionChanged, this, &SteerPanel::update);
    connect(&session, &Session::runStateChanged, this, &SteerPanel::update);
    connect(&session, &Session::runChanged, this, &SteerPanel::update);
    update();
}

void SteerPanel::applyRate() {
    bool isNumber = false;
    const double rate = m_rate->text().toDouble(&isNumber);
    const bool good = isNumber && rate >= 0 && rate <= 10;
    m_problem->setVisible(!good);
    if (!good) {
        m_problem->setText(tr("A number from 0 to 10 was expected, but found \"%1\"").arg(m_rate->text()));
        return;
    }
    m_session.post(m_session.selection().run, {.kind = CommandKind::SetLearningRate, .lane = -1, .value = rate});
}

void SteerPanel::rebuild() {
    for (const auto& [lane, box] : m_freezers) delete box;
    m_freezers.clear();
    m_asked.clear();
    m_freezable.clear();
    const Run* run = m_session.current();
    if (!run) return;
    m_freezable = run->record.freezable;
    for (std::size_t i = 0; i < run->record.lanes.size(); ++i) {
        if (!run->record.freezable[i]) continue;
        const int lane = static_cast<int>(i);
        auto* box =
            new QCheckBox(tr("Freeze projections of %1").arg(QString::fromStdString(run->record.lanes[i].name)));
        box->setIcon(laneSwatch(lane));
        box->setToolTip(tr("The projections of this lane get no steps while this is checked; logged as an event"));
        connect(box, &QCheckBox::toggled, this, [this, lane](bool frozen) {
            m_asked[lane] = frozen;
            m_session.post(m_session.selection().run,
                           {.kind = frozen ? CommandKind::Freeze : CommandKind::Unfreeze, .lane = lane, .value = 0});
        });
        m_lanes->addWidget(box);
        m_freezers.emplace_back(lane, box);
    }
}

void SteerPanel::update() {
    const Selection& selection = m_session.selection();
    const Run* run = m_session.current();
    if (selection.run != m_run || (run && run->record.freezable != m_freezable)) {
        m_run = selection.run;
        m_peak.reset();
        rebuild();
    }
    // What was set last, by whomever, and not what the experiment began with; a text that is being typed stays.
    const double peak = run && !run->record.peakRates.empty() ? run->record.peakRates.front() : 0;
    if (run && std::exchange(m_peak, std::optional(peak)) != peak) m_rate->setText(QString::number(peak));
    const bool live = run && run->live();
    m_rate->setEnabled(live);
    m_apply->setEnabled(live);
    for (const auto& [lane, box] : m_freezers) {
        box->setEnabled(live);
        const bool frozen = run->record.frozen.at(static_cast<std::size_t>(lane));
        // What was asked for stands in the box until the trainer has done it.
        if (const auto asked = m_asked.find(lane); live && asked != m_asked.end()) {
            if (asked->second == frozen) m_asked.erase(asked);
            continue;
        }
        const QSignalBlocker quiet(box);
        box->setChecked(frozen);
    }
    if (!live)
        m_now->setText(tr("Only a running or paused run can be steered"));
    else if (!run->record.learningRates.empty())
        m_now->setText(tr("now %1 by the schedule").arg(run->record.learningRates.front(), 0, 'g', 3));
}

}  // namespace linscope::app

#include "app/panels/step_bar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSlider>
#include <QToolButton>
#include <algorithm>

#include "app/shell/theme.h"

namespace linscope::app {

namespace {

QToolButton* button(const QString& name, const QString& help) {
    auto* result = new QToolButton;
    result->setIcon(icon(name));
    result->setToolTip(help);
    result->setAccessibleName(help);
    result->setAutoRaise(true);
    return result;
}

}  // namespace

StepBar::StepBar(Session& session, QWidget* parent)
    : QWidget(parent),
      m_session(session),
      m_slider(new QSlider(Qt::Horizontal)),
      m_previous(button("previous", tr("Stored step before"))),
      m_next(button("next", tr("Stored step after"))),
      m_live(button("live", tr("Follow the newest step"))),
      m_text(new QLabel) {
    m_live->setText(tr("Live"));
    m_live->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    m_live->setCheckable(true);
    m_slider->setToolTip(tr("Look at any stored step of this run"));
    m_slider->setAccessibleName(tr("Stored step"));
    m_text->setMinimumWidth(190);

    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(8, 2, 8, 2);
    layout->addWidget(m_previous);
    layout->addWidget(m_next);
    layout->addWidget(m_slider, 1);
    layout->addWidget(m_text);
    layout->addWidget(m_live);

    connect(m_slider, &QSlider::valueChanged, this, &StepBar::showAt);
    connect(m_previous, &QToolButton::clicked, this, &StepBar::previous);
    connect(m_next, &QToolButton::clicked, this, &StepBar::next);
    connect(m_live, &QToolButton::clicked, this, &StepBar::goLive);
    connect(&session, &Session::selectionChanged, this, &StepBar::update);
    connect(&session, &Session::runStateChanged, this, &StepBar::update);
    connect(&session, &Session::runChanged, this, [this](int id) {
        if (id == m_session.selection().run) update();
    });
    update();
}

void StepBar::update() {
    const Run* run = m_session.current();
    m_steps = run ? run->record.snapshotSteps() : std::vector<std::int64_t>();
    const auto& step = m_session.selection().step;
    const bool live = run && run->live();
    {
        const QSignalBlocker quiet(m_slider);
        m_slider->setRange(0, std::max(0, static_cast<int>(m_steps.size()) - 1));
        const auto at = step ? std::lower_bound(m_steps.begin(), m_steps.end(), *step) : m_steps.end();
        m_slider->setValue(at == m_steps.end() ? m_slider->maximum() : static_cast<int>(at - m_steps.begin()));
    }
    m_slider->setEnabled(!m_steps.empty());
    m_previous->setEnabled(!m_steps.empty() && (!step || *step > m_steps.front()));
    m_next->setEnabled(step && !m_steps.empty() && *step < m_steps.back());
    m_live->setEnabled(run && (live || !run->newest.empty()));
    m_live->setChecked(run && !step);
    if (!run)
        m_text->setText(tr("no run"));
    else if (step)
        m_text->setText(tr("step %1 · %2 stored").arg(*step).arg(m_steps.size()));
    else
        m_text->setText(tr("newest, step %1 · %2 stored").arg(run->record.lastStep).arg(m_steps.size()));
}

void StepBar::showAt(int position) {
    if (position >= 0 && position < static_cast<int>(m_steps.size())) m_session.selectStep(m_steps[position]);
}

void StepBar::previous() {
    const auto& step = m_session.selection().step;
    auto at = step ? std::lower_bound(m_steps.begin(), m_steps.end(), *step) : m_steps.end();
    if (at != m_steps.begin()) m_session.selectStep(*std::prev(at));
}

void StepBar::next() {
    const auto& step = m_session.selection().step;
    if (!step) return;
    const auto at = std::upper_bound(m_steps.begin(), m_steps.end(), *step);
    if (at != m_steps.end()) m_session.selectStep(*at);
}

void StepBar::goLive() {
    m_session.selectStep(std::nullopt);
    update();
}

}  // namespace linscope::app

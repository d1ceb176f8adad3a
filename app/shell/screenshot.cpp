#include "app/shell/screenshot.h"

#include <QCoreApplication>
#include <algorithm>
#include <cstdio>

#include "app/shell/central_widget.h"

namespace linscope::app {

namespace {
constexpr int kPollMilliseconds = 50;
constexpr int kSettleMilliseconds = 900;    // the charts draw at their own, slower pace
constexpr int kFrameMilliseconds = 30'000;  // for one frame, on a software device under load
}  // namespace

Screenshot::Screenshot(MainWindow& window, Session& session, QString path, std::optional<std::int64_t> atStep,
                       QObject* parent)
    : QObject(parent), m_window(window), m_session(session), m_path(std::move(path)), m_atStep(atStep) {
    connect(&session, &Session::snapshotChanged, this, [this] { m_frames = 0; });
    connect(&window.central().canvas(), &CanvasWidget::frameDrawn, this, [this] { ++m_frames; });
    connect(&m_poll, &QTimer::timeout, this, &Screenshot::check);
    m_poll.start(kPollMilliseconds);
}

void Screenshot::check() {
    if (m_done || !isReady() || m_done) return;
    CanvasWidget& canvas = m_window.central().canvas();
    const bool hasPicture = !m_session.shownSnapshots().empty();
    if (!canvas.hasVulkan() || !hasPicture || (m_frames > 0 && !canvas.busy())) return take();
    if (!m_ended.isValid()) m_ended.start();
    if (m_ended.elapsed() > kFrameMilliseconds)
        fail(tr("the canvas was to draw the newest snapshot within %1 s, but has not").arg(kFrameMilliseconds / 1000));
}

bool Screenshot::isReady() {
    const Run* run = m_session.current();
    if (!run) return false;
    if (!run->error.empty()) {
        fail(QString::fromStdString(run->error));
        return false;
    }
    if (run->loading || run->live() || m_session.overlays().busy()) return false;
    const auto steps = run->record.snapshotSteps();
    if (m_atStep && m_session.selection().step) {
        const auto after = std::upper_bound(steps.begin(), steps.end(), *m_atStep);
        m_atStep.reset();
        if (after != steps.begin()) m_session.selectStep(*std::prev(after));
    }
    // What is selected is still being read.
    return !m_session.shownSnapshots().empty() || steps.empty();
}

void Screenshot::take() {
    if (m_done) return;
    m_done = true;
    m_poll.stop();
    QTimer::singleShot(kSettleMilliseconds, this, [this] {
        try {
            if (!m_window.picture().save(m_path, "PNG"))
                return fail(tr("a file that can be written was required, but %1 is not").arg(m_path));
        } catch (const std::exception& error) {  // a lost device, say: the window would go on, a picture never comes
            return fail(QString::fromUtf8(error.what()));
        }
        QCoreApplication::exit(0);
    });
}

void Screenshot::fail(const QString& reason) {
    m_done = true;
    std::fprintf(stderr, "%s\n",
                 reason.startsWith('[') ? reason.toUtf8().data() : QString("[screenshot] " + reason).toUtf8().data());
    QCoreApplication::exit(1);
}

}  // namespace linscope::app

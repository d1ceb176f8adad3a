#include "app/canvas/canvas_bench.h"

#include "app/canvas/canvas_widget.h"
#include "app/canvas/canvas_window.h"
#include "core/base/error.h"
#include "viz/canvas/canvas_scene.h"
#include "viz/imgui/imgui_host.h"

// After viz: Qt's Vulkan header switches off the prototypes that viz needs.
#include <QApplication>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QMouseEvent>
#include <QTimer>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

namespace linscope::app {

namespace {

constexpr int kEventMilliseconds = 16;  ///< a mouse that moves reports about this often
constexpr int kPatience = 20'000;

std::shared_ptr<const Snapshot> benchSnapshot() {
    Snapshot snapshot{.step = 1,
                      .lane = 0,
                      .mechanism = "linformer",
                      .samples = 1,
                      .heads = 2,
                      .length = 512,
                      .headWidth = 32,
                      .tokens = std::vector<std::int32_t>(512, 'a'),
                      .layers = {},
                      .projections = {}};
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    const auto numbers = [&](std::int64_t count, float scale) {
        std::vector<float> values(static_cast<std::size_t>(count));
        for (float& value : values) value = scale * normal(random);
        return values;
    };
    const std::int64_t count = snapshot.heads * snapshot.length * snapshot.headWidth;
    snapshot.layers.push_back({.q = numbers(count, 1.5F), .k = numbers(count, 1.5F), .v = numbers(count, 1)});
    for (const char* name : {"E", "F"})
        snapshot.projections.push_back(
            {.name = name, .layer = 0, .head = -1, .slots = 64, .length = 512, .values = numbers(64 * 512, 0.1F)});
    return std::make_shared<const Snapshot>(std::move(snapshot));
}

/// The load's thread, stopped and joined whatever happens.
class Load {
public:
    explicit Load(const std::function<void(const std::atomic<bool>&)>& load) {
        if (load) m_thread = std::thread([this, load] { load(m_stop); });
    }
    ~Load() {
        m_stop = true;
        if (m_thread.joinable()) m_thread.join();
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

private:
    std::atomic<bool> m_stop{false};
    std::thread m_thread;
};

void send(CanvasWindow& window, QEvent::Type type, QPointF at, Qt::MouseButtons held) {
    const Qt::MouseButton button = type == QEvent::MouseMove ? Qt::NoButton : Qt::LeftButton;
    QMouseEvent event(type, at, window.mapToGlobal(at), button, held, Qt::NoModifier);
    QCoreApplication::sendEvent(&window, &event);
}

/// Runs the event loop until the condition holds; false when it does not for too long.
template <typename Condition>
bool waitFor(Condition condition, int milliseconds = kPatience) {
    QElapsedTimer timer;
    timer.start();
    while (!condition()) {
        if (timer.elapsed() > milliseconds) return false;
        QCoreApplication::processEvents(QEventLoop::AllEvents, 5);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return true;
}

double shareOf(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
}

void pan(CanvasWindow& window, double seconds, CanvasBenchResult& result) {
    viz::CanvasScene& scene = window.scene();
    for (int step = 0; step < 3; ++step) scene.key(viz::CanvasKey::ZoomIn);
    const QPointF middle(window.width() * 0.2, window.height() * 0.28);
    std::vector<double> frames;
    const auto connection = QObject::connect(&window, &CanvasWindow::frameDrawn, &window,
                                             [&](double milliseconds) { frames.push_back(milliseconds); });
    send(window, QEvent::MouseMove, middle, Qt::NoButton);
    waitFor([&] { return frames.size() >= 3; });
    send(window, QEvent::MouseButtonPress, middle, Qt::LeftButton);
    waitFor([&] { return frames.size() >= 5; });
    frames.clear();
    QTimer mouse;
    mouse.setTimerType(Qt::PreciseTimer);
    double angle = 0;
    QObject::connect(&mouse, &QTimer::timeout, &window, [&] {
        angle += 0.15;
        send(window, QEvent::MouseMove, middle + QPointF(60 * std::cos(angle), 60 * std::sin(angle)), Qt::LeftButton);
    });
    mouse.start(kEventMilliseconds);
    const auto begin = std::chrono::steady_clock::now();
    waitFor([&] { return std::chrono::steady_clock::now() - begin > std::chrono::duration<double>(seconds); },
            static_cast<int>(seconds * 1000) + kPatience);
    mouse.stop();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    result.frames = static_cast<std::int64_t>(frames.size());
    result.framesPerSecond = static_cast<double>(frames.size()) / took;
    result.medianFrameMs = shareOf(frames, 0.5);
    result.p95FrameMs = shareOf(frames, 0.95);
    result.worstFrameMs = shareOf(frames, 1);
    send(window, QEvent::MouseButtonRelease, middle, Qt::NoButton);
    QObject::disconnect(connection);
    waitFor([] { return false; }, 150);
}

void click(CanvasWindow& window, int clicks, CanvasBenchResult& result) {
    viz::CanvasModel& model = window.scene().model();
    std::vector<double> answers;
    for (int index = 0; index < clicks; ++index) {
        const viz::CanvasPage before = model.page();
        const QPointF at(before == viz::CanvasPage::Maps ? 136 : 52, 22);  // the bar's "Projection" and "Maps"
        send(window, QEvent::MouseMove, at, Qt::NoButton);
        waitFor([] { return false; }, 120);
        bool answered = false;
        const auto begin = std::chrono::steady_clock::now();
        const auto connection = QObject::connect(&window, &CanvasWindow::frameDrawn, &window, [&] {
            if (answered || model.page() == before) return;
            answered = true;
            answers.push_back(
                std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
        });
        send(window, QEvent::MouseButtonPress, at, Qt::LeftButton);
        send(window, QEvent::MouseButtonRelease, at, Qt::NoButton);
        const bool inTime = waitFor([&] { return answered; }, 5000);
        QObject::disconnect(connection);
        require(inTime, "bench", "a click on the canvas must be answered, but for 5 s it was not");
    }
    result.clickMs = shareOf(answers, 0.5);
    result.worstClickMs = shareOf(answers, 1);
}

}  // namespace

CanvasBenchResult measureCanvas(const CanvasBenchOptions& options) {
    require(!qEnvironmentVariableIsEmpty("DISPLAY") || !qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY") ||
                qEnvironmentVariableIsSet("QT_QPA_PLATFORM"),
            "bench",
            "a display is needed to time the canvas, but DISPLAY and WAYLAND_DISPLAY are not set; "
            "xvfb-run gives a virtual one");
    int count = 1;
    char name[] = "linscope";
    char* arguments[] = {name, nullptr};
    std::unique_ptr<QApplication> application;
    if (!QCoreApplication::instance()) application = std::make_unique<QApplication>(count, arguments);

    CanvasWidget canvas;
    require(canvas.hasVulkan(), "bench", "Vulkan is needed to time the canvas, but it is not there: {}",
            canvas.problem().toStdString());
    canvas.resize(options.width, options.height);
    canvas.setLanes({"linformer"});
    canvas.setSnapshot(benchSnapshot());
    canvas.show();
    CanvasWindow& window = *canvas.canvasWindow();
    const bool shown = waitFor([&] { return window.framesDrawn() > 2 && !canvas.busy(); });
    require(shown, "bench", "the canvas must show its maps, but for {} s it did not", kPatience / 1000);

    CanvasBenchResult result;
    result.device = canvas.deviceName().toStdString();
    const Load load(options.load);
    waitFor([] { return false; }, 500);
    window.setMeasuring(true);
    pan(window, options.seconds, result);
    click(window, options.clicks, result);
    return result;
}

}  // namespace linscope::app

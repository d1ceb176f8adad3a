#include "app/shell/start_bench.h"

#include <time.h>
#include <unistd.h>

#include <QApplication>
#include <QTemporaryDir>
#include <QTimer>
#include <algorithm>
#include <fstream>
#include <map>
#include <string>

#include "app/panels/experiment_panel.h"
#include "app/session/session.h"
#include "app/shell/central_widget.h"
#include "app/shell/main_window.h"
#include "app/shell/theme.h"
#include "core/base/error.h"

namespace linscope::app {

namespace {

constexpr int kPatienceSeconds = 60;

/// Seconds since the process began, the loading of its libraries included; of 10 ms resolution.
double processAge() {
    std::ifstream stat("/proc/self/stat");
    std::string line;
    std::getline(stat, line);
    constexpr int kFieldsBeforeStart = 19;  // after the name in brackets: starttime is field 22
    std::size_t at = line.rfind(')');
    for (int field = 0; field <= kFieldsBeforeStart && at != std::string::npos; ++field) at = line.find(' ', at + 1);
    require(at != std::string::npos, "bench", "the start time of the process was required, but /proc does not tell it");
    const double started = std::stod(line.substr(at)) / static_cast<double>(sysconf(_SC_CLK_TCK));
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) - started;
}

}  // namespace

StartBenchResult measureStart() {
    require(qEnvironmentVariableIsSet("DISPLAY") || qEnvironmentVariableIsSet("WAYLAND_DISPLAY"), "bench",
            "a display is needed to time the start, but DISPLAY and WAYLAND_DISPLAY are not set; "
            "xvfb-run gives a virtual one");
    int argc = 1;
    char name[] = "linscope";
    char* argv[] = {name, nullptr};
    QApplication application(argc, argv);
    applyTheme(application);
    const QTemporaryDir folder;
    Session session;
    MainWindow window(session, MainWindow::Memory::Fresh);
    CanvasWidget& canvas = window.central().canvas();
    require(canvas.hasVulkan(), "bench", "Vulkan is needed to time the first maps, but it is not there: {}",
            canvas.problem().toStdString());

    window.openDefaultExperiment();
    const Experiment& experiment = window.experimentPanel().draft().experiment();
    const std::size_t lanes = experiment.lanes.size();

    StartBenchResult result;
    std::map<int, std::int64_t> newest;  // lane → step
    QObject::connect(&session, &Session::snapshotChanged, &window,
                     [&](const std::shared_ptr<const Snapshot>& snapshot) { newest[snapshot->lane] = snapshot->step; });
    QObject::connect(&canvas, &CanvasWidget::frameDrawn, &window, [&] {
        if (result.window == 0) result.window = processAge();
        const auto all = [&](std::int64_t step) {
            return newest.size() == lanes &&
                   std::ranges::all_of(newest, [&](auto& lane) { return lane.second >= step; });
        };
        if (!all(0) || canvas.busy()) return;
        if (result.maps == 0) result.maps = processAge();
        if (!all(1)) return;
        result.firstStep = processAge();
        QCoreApplication::exit(0);
    });
    session.start(experiment, {.untilStep = {}, .folder = folder.path()});
    window.show();
    QTimer::singleShot(kPatienceSeconds * 1000, &window, [] { QCoreApplication::exit(1); });
    const int status = QApplication::exec();
    session.shutdown();
    require(status == 0, "bench", "a first step on the screen within {} s, but it did not come", kPatienceSeconds);
    return result;
}

}  // namespace linscope::app

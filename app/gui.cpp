#include "app/gui.h"

#include <QFileInfo>
#include <QSettings>
#include <QTemporaryDir>
#include <algorithm>
#include <optional>

#include "app/cli/signals.h"
#include "app/panels/experiment_panel.h"
#include "app/session/session.h"
#include "app/shell/application.h"
#include "app/shell/central_widget.h"
#include "app/shell/main_window.h"
#include "app/shell/screenshot.h"
#include "app/shell/theme.h"
#include "core/base/error.h"
#include "core/io/run_file.h"

namespace linscope::app {

static_assert(kCanvasPages.size() == viz::kCanvasPageCount);

namespace {

constexpr std::int64_t kScreenshotSteps = 50;

// Qt ends the program with a core file when there is no display; this says it as an error instead.
void requireDisplay() {
#ifdef __linux__
    const bool any = qEnvironmentVariableIsSet("QT_QPA_PLATFORM") || qEnvironmentVariableIsSet("DISPLAY") ||
                     qEnvironmentVariableIsSet("WAYLAND_DISPLAY");
    require(any, "gui",
            "a display was required, but neither DISPLAY nor WAYLAND_DISPLAY is set; "
            "use linscope train here, or xvfb-run for a picture of the window");
#endif
}

/// Opens what was asked for and starts it when it is an experiment. Throws Error.
void begin(const GuiOptions& options, MainWindow& window, Session& session, const QString& folder) {
    const QString path = QString::fromStdString(options.path);
    const bool isRun = !path.isEmpty() && QFileInfo(path).suffix().toLower() != "toml";
    if (isRun) {
        window.openDefaultExperiment();
        window.openPath(path);
        return;
    }
    if (path.isEmpty())
        window.openDefaultExperiment();
    else
        window.experimentPanel().draft().loadFile(path);
    Session::StartOptions start;
    start.folder = folder;
    if (!options.screenshot.empty()) start.untilStep = options.afterSteps.value_or(kScreenshotSteps);
    session.start(window.experimentPanel().draft().experiment(), start);
    if (path.isEmpty()) window.offerLastRun();
}

Look lookOf(const GuiOptions& options) {
    QString theme = QString::fromStdString(options.theme);
    if (theme.isEmpty() && options.screenshot.empty()) theme = QSettings().value("theme").toString();
    return theme == "light" ? Look::Light : Look::Dark;
}

void goToPage(const std::string& name, CentralWidget& central) {
    const auto page = std::ranges::find(kCanvasPages, name);
    if (page != kCanvasPages.end()) central.setPage(static_cast<CanvasWidget::Page>(page - kCanvasPages.begin()));
}

/// Behind the run that is opened, whose coming clears what was said before.
void layOver(const GuiOptions& options, Session& session) {
    for (const std::string& file : options.overlays) {
        // At the window a person reads that a file cannot be read; of a picture it would only be missing.
        if (!options.screenshot.empty()) RunFileReader reader(file);
        session.overlays().lay(QString::fromStdString(file));
    }
}

}  // namespace

int runGui(const GuiOptions& options) {
    requireDisplay();
    // Before Qt makes threads, so that they inherit the blocked signals.
    const StopSignals stopSignals([] {
        if (qApp) QMetaObject::invokeMethod(qApp, [] { QApplication::closeAllWindows(); });
    });
    const bool isScreenshot = !options.screenshot.empty();
    int argc = 1;
    char name[] = "linscope";
    char* argv[] = {name, nullptr};
    QCoreApplication::setOrganizationName("linscope");
    QCoreApplication::setApplicationName("linscope");
    Application application(argc, argv);
    QApplication::setApplicationDisplayName("Linscope");
    applyTheme(application, lookOf(options));

    // A picture leaves no run behind.
    std::optional<QTemporaryDir> scratch;
    if (isScreenshot) scratch.emplace();

    Session session;
    MainWindow window(session, isScreenshot ? MainWindow::Memory::Fresh : MainWindow::Memory::Remembered);
    QObject::connect(&application, &Application::failed, &window,
                     [&window](const QString& text) { window.showMessage(text, true); });
    if (!options.device.empty()) session.setDevice(options.device);
    std::optional<Screenshot> screenshot;
    if (isScreenshot)
        screenshot.emplace(window, session, QString::fromStdString(options.screenshot), options.afterSteps);

    // Before the window is shown: the corpus is read meanwhile.
    try {
        begin(options, window, session, scratch ? scratch->path() : QString());
        layOver(options, session);
        goToPage(options.page, window.central());
    } catch (const Error& error) {
        // A picture of nothing helps nobody; a person at the window reads what is wrong and mends it.
        if (isScreenshot || !options.path.empty()) throw;
        window.showMessage(QString::fromUtf8(error.what()), true);
    }
    window.show();
    const int status = QApplication::exec();
    session.shutdown();
    return status;
}

}  // namespace linscope::app

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/bench_canvas.h"
#include "app/cli/bench_start.h"

namespace linscope::app {

/// What `linscope gui` was asked for.
struct GuiOptions {
    std::string path;                        ///< a run file or an experiment file; empty: the default experiment
    std::vector<std::string> overlays;       ///< run files whose curves are laid over the charts
    std::string screenshot;                  ///< PNG of the window to write, then close; empty: stay open
    std::optional<std::int64_t> afterSteps;  ///< the picture is taken after this training step
    std::string device;                      ///< as for chosenDevice(); empty: as chosen in the window before
    std::string page;                        ///< of kCanvasPages; empty: as in the window before
    std::string theme;                       ///< "dark" or "light"; empty: as chosen in the window before
};
/// The canvas's pages, in the order of viz::CanvasPage.
inline constexpr std::array kCanvasPages{"maps", "projection", "lanes"};

/// What the command line cannot do by itself.
struct CliHooks {
    /// Opens the window and returns the exit status. Empty: this build has no window.
    std::function<int(const GuiOptions&)> gui;
    /// Times the canvas in a window. Empty: this build has no window.
    MeasureCanvas measureCanvas;
    /// Times the start of the window. Empty: this build has no window.
    MeasureStart measureStart;
};

/// The whole program: reads the arguments, carries out one command, reports errors.
/// Returns the exit status: 0 done; 1 failed, with one line `[where] …` on stderr; 2 wrong usage.
int runCli(int argc, char** argv, const CliHooks& hooks);

}  // namespace linscope::app

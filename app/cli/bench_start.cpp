#include "app/cli/bench_start.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "core/base/error.h"

namespace linscope::app {

namespace {
constexpr double kSecondsAllowed = 2;
}

int runBenchStart(const BenchStartArguments& arguments, const MeasureStart& measure) {
    require(static_cast<bool>(measure), "bench",
            "a build with the window is needed to time its start, but this one was made without it "
            "(LINSCOPE_GUI=OFF)");
    const StartBenchResult result = measure();
    if (arguments.json) {
        printJson({{"bench", "start"},
                   {"window_s", result.window},
                   {"maps_s", result.maps},
                   {"first_step_s", result.firstStep},
                   {"allowed_first_step_s", kSecondsAllowed}});
        return 0;
    }
    fmt::print(
        "seconds after the start of the program: window {:.2f}, maps {:.2f}, first step on the screen {:.2f} "
        "(allowed: {:.0f})\n",
        result.window, result.maps, result.firstStep, kSecondsAllowed);
    return 0;
}

}  // namespace linscope::app

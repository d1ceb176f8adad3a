#pragma once

#include "app/cli/bench_start.h"

namespace linscope::app {

/// Makes the application object. See MeasureStart.
StartBenchResult measureStart();

}  // namespace linscope::app

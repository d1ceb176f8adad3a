#pragma once

#include "app/cli/cli.h"

namespace linscope::app {

/// Opens the workbench and returns when its window is closed: 0, or 1 when what was asked for could not be had.
/// With `screenshot`, trains `afterSteps` steps (or opens the run), writes the picture of the window, and closes.
int runGui(const GuiOptions& options);

}  // namespace linscope::app

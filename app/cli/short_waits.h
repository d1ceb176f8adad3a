#pragma once

namespace linscope::app {

/// Makes OpenMP's threads sleep soon after they have run out of work instead of spinning for milliseconds:
/// on two cores the window, its software renderer and any other program would be starved, and training
/// beside them is several times slower. The runtime reads that setting from the environment when the program
/// is loaded, so the program starts itself again with it. Does nothing where the setting is there already.
void useShortWaits(char** argv);

}  // namespace linscope::app

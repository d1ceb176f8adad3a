#include "app/cli/cli.h"
#include "app/cli/short_waits.h"
#ifdef LINSCOPE_HAS_GUI
#include "app/canvas/canvas_bench.h"
#include "app/gui.h"
#include "app/shell/start_bench.h"
#endif

int main(int argc, char** argv) {
    linscope::app::useShortWaits(argv);
    linscope::app::CliHooks hooks;
#ifdef LINSCOPE_HAS_GUI
    hooks.gui = linscope::app::runGui;
    hooks.measureCanvas = linscope::app::measureCanvas;
    hooks.measureStart = linscope::app::measureStart;
#endif
    return linscope::app::runCli(argc, argv, hooks);
}

#include "app/cli/commands.h"
#include "app/cli/render.h"
#include "core/base/error.h"

namespace linscope::app {

std::vector<std::string> viewNames() {
    return {};
}

bool canShow(const std::string&, const Snapshot&) {
    return false;
}

void requireViews() {
    fail("render", "a build with the views is needed, but this one was made without them (LINSCOPE_VIZ=OFF)");
}

void drawView(const DrawRequest&, const std::vector<DrawnSnapshot>&) {
    requireViews();
}

}  // namespace linscope::app

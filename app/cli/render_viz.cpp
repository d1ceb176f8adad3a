#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/render.h"
#include "core/base/error.h"
#include "core/cuda/device.h"
#include "viz/gpu/device.h"
#include "viz/interop/map_source.h"
#include "viz/offscreen/render.h"
#include "viz/views/view.h"

namespace linscope::app {

std::vector<std::string> viewNames() {
    std::vector<std::string> names;
    for (const viz::ViewInfo& view : viz::views()) names.push_back(view.name);
    return names;
}

void requireViews() {}

bool canShow(const std::string& view, const Snapshot& snapshot) {
    return viz::findView(view).available(snapshot);
}

void drawView(const DrawRequest& request, const Snapshot& snapshot) {
    if (request.device == "cuda") requireCuda();
    viz::Device device;
    viz::MapSource source(device);
    const viz::ViewPicture picture = viz::findView(request.view)
                                         .make(snapshot, {.layer = request.layer,
                                                          .head = request.head,
                                                          .sample = request.sample,
                                                          .source = request.device == "cpu" ? nullptr : &source});
    require(request.device != "cuda" || picture.cells, "render",
            "--device cuda needs a view that is computed there, but this one is {}", picture.route.sentence());
    viz::RenderOptions options;
    options.caption = request.caption;
    options.metadata = {{"lane", fmt::format("{}", snapshot.lane)},
                        {"step", fmt::format("{}", snapshot.step)},
                        {"mechanism", snapshot.mechanism},
                        {"computed", picture.route.sentence()}};
    viz::renderToPng(device, request.out, picture, options);
}

}  // namespace linscope::app

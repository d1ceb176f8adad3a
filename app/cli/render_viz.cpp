#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/render.h"
#include "core/base/error.h"
#include "core/cuda/device.h"
#include "viz/gpu/device.h"
#include "viz/interop/map_source.h"
#include "viz/offscreen/gallery.h"
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

void drawView(const DrawRequest& request, const std::vector<DrawnSnapshot>& snapshots) {
    if (request.device == "cuda") requireCuda();
    viz::Device device;
    viz::MapSource source(device);
    std::vector<viz::GalleryPicture> pictures;
    for (const DrawnSnapshot& one : snapshots) {
        viz::ViewPicture picture = viz::findView(request.view)
                                       .make(one.snapshot, {.layer = request.layer,
                                                            .head = request.head,
                                                            .sample = request.sample,
                                                            .source = request.device == "cpu" ? nullptr : &source});
        require(request.device != "cuda" || picture.cells, "render",
                "--device cuda needs a view that is computed there, but this one is {}", picture.route.sentence());
        pictures.push_back({std::move(picture), one.caption});
    }
    if (pictures.size() > 1) {
        viz::PngText metadata;
        for (std::size_t i = 0; i < pictures.size(); ++i)
            metadata.emplace_back(fmt::format("lane {}", snapshots[i].snapshot.lane), pictures[i].caption);
        return viz::renderGalleryToPng(device, request.out, pictures, metadata,
                                       request.range == "each" ? viz::GalleryRanges::Each : viz::GalleryRanges::One);
    }
    const Snapshot& snapshot = snapshots.front().snapshot;
    viz::RenderOptions options;
    options.caption = pictures.front().caption;
    options.metadata = {{"lane", fmt::format("{}", snapshot.lane)},
                        {"step", fmt::format("{}", snapshot.step)},
                        {"mechanism", snapshot.mechanism},
                        {"computed", pictures.front().picture.route.sentence()}};
    viz::renderToPng(device, request.out, pictures.front().picture, options);
}

}  // namespace linscope::app

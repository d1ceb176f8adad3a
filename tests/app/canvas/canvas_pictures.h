#pragma once

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

#include "tests/app/canvas/synthetic_snapshot.h"
#include "viz/canvas/canvas_renderer.h"
#include "viz/gpu/device.h"

namespace linscope::viz {

struct CanvasPicture {
    RgbaImage image;
    std::string route;  ///< what the canvas says of its maps
};

/// The whole way from a snapshot to the pixels: service, pane, Vulkan. Cells of its maps are larger than pixels.
inline CanvasPicture canvasPicture(Device& device, MapService::Work work, CanvasPage page, int head = 0) {
    CanvasRenderer canvas(
        device, VK_FORMAT_B8G8R8A8_UNORM, [] {}, std::move(work));
    CanvasScene& scene = canvas.scene();
    CanvasModel& model = scene.model();
    CanvasSettings settings = scene.settings();
    settings.page = page;
    settings.tools = false;
    settings.choice = {.lane = 1, .layer = 1, .head = head, .sample = 1};
    model.setLanes({"full", "linformer"});
    scene.restore(settings);
    for (const std::int64_t step : {1, 2, 3}) {  // one after another, so that buffers are written again
        model.setSnapshot(test::syntheticSnapshot(
            {.length = 96 + 16 * (step % 2), .slots = 16, .heads = 2, .headWidth = 32, .step = step}));
        for (int wait = 0; wait < 30000 && model.busy(); ++wait)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        for (int frame = 0; frame < 3; ++frame) {
            canvas.build({1200, 900}, 1);
            if (frame < 2) canvas.grab();
        }
    }
    return {canvas.grab(), model.maps() ? model.maps()->routeSentence() : std::string()};
}

/// The share of pixels below the bar (which tells the route) that differ by more than neighbouring colours do.
inline double shareOfOtherPixels(const RgbaImage& a, const RgbaImage& b) {
    if (a.width != b.width || a.height != b.height || a.width == 0) return 1;
    constexpr int kBar = 44, kColourStep = 8;
    std::int64_t others = 0;
    for (int y = kBar; y < a.height; ++y)
        for (int x = 0; x < a.width; ++x) {
            const std::uint8_t *one = a.at(x, y), *two = b.at(x, y);
            bool differs = false;
            for (int channel = 0; channel < 3; ++channel)
                differs = differs || std::abs(int(one[channel]) - int(two[channel])) > kColourStep;
            others += differs;
        }
    return double(others) / (double(a.width) * (a.height - kBar));
}

}  // namespace linscope::viz

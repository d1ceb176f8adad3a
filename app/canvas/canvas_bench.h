#pragma once

#include "app/cli/bench_canvas.h"

namespace linscope::app {

/// Opens the canvas with made-up maps of 512 tokens, pans it by mouse, then clicks from page to page. Makes
/// the application object if there is none. Throws Error without a display or without Vulkan.
CanvasBenchResult measureCanvas(const CanvasBenchOptions& options);

}  // namespace linscope::app

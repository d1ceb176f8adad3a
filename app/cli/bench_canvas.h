#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace linscope::app {

/// One measurement of the canvas in a window of its own under the current display.
struct CanvasBenchOptions {
    double seconds = 5;  ///< of panning, and as much again of clicking at most
    int clicks = 15;
    int width = 1400, height = 900;
    /// Runs beside the measurement in a thread of its own until `stop` is set; empty: nothing runs.
    std::function<void(const std::atomic<bool>& stop)> load;
};

/// Times are from the event until the device has finished the frame that answers it.
struct CanvasBenchResult {
    std::string device;
    std::int64_t frames = 0;
    double framesPerSecond = 0;
    double medianFrameMs = 0, p95FrameMs = 0, worstFrameMs = 0;
    double clickMs = 0, worstClickMs = 0;  ///< median and worst
};

/// Needs a display; throws Error without one or without Vulkan.
using MeasureCanvas = std::function<CanvasBenchResult(const CanvasBenchOptions&)>;

}  // namespace linscope::app

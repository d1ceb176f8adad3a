#pragma once

#include <optional>
#include <span>
#include <string>

#include "viz/gpu/device.h"

namespace linscope::viz {

/// How the cells of a map come to where they are drawn from.
enum class MapPath {
    Shared,     ///< CUDA writes them into the memory that Vulkan reads
    Staged,     ///< CUDA copies them once, into memory of the processor that Vulkan reads
    Processor,  ///< the processor computes them, in memory that Vulkan reads
};

struct MapRoute {
    MapPath path = MapPath::Processor;
    std::string reason;  ///< why it is not a shorter one; empty for Shared
    /// For people: "one staged copy: the devices differ".
    std::string sentence() const;
};

/// The shortest path there is between the device that draws, with its enabled extensions, and the CUDA device that
/// computes (none: the processor does). Memory can be shared on one device alone, told by its UUID.
MapRoute chooseRoute(const DeviceUuid& drawing, std::span<const std::string> extensions,
                     const std::optional<DeviceUuid>& computing);

}  // namespace linscope::viz

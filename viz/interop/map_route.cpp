#include "viz/interop/map_route.h"

#include <algorithm>

namespace linscope::viz {

std::string MapRoute::sentence() const {
    switch (path) {
        case MapPath::Shared:
            return "maps reach the screen without a copy";
        case MapPath::Staged:
            return "one staged copy: " + reason;
        case MapPath::Processor:
            break;
    }
    return "computed on the processor" + (reason.empty() ? reason : ": " + reason);
}

MapRoute chooseRoute(const DeviceUuid& drawing, std::span<const std::string> extensions,
                     const std::optional<DeviceUuid>& computing) {
    if (!computing) return {MapPath::Processor, "there is no CUDA device"};
    if (drawing != *computing) return {MapPath::Staged, "the devices differ"};
    for (const char* name : {VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME, VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME,
                             VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME})
        if (std::find(extensions.begin(), extensions.end(), name) == extensions.end())
            return {MapPath::Staged, std::string("the driver has no ") + name};
    return {MapPath::Shared, {}};
}

}  // namespace linscope::viz

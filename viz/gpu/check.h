#pragma once

#include <vulkan/vulkan.h>

#include <string_view>

namespace linscope::viz {

/// The name of a result as the Vulkan specification writes it, "VK_ERROR_DEVICE_LOST".
std::string_view resultName(VkResult result);

/// Throws Error `[where] Vulkan must <action>, but answered <result>` unless `result` is VK_SUCCESS,
/// in every kind of build.
void check(VkResult result, std::string_view where, std::string_view action);

}  // namespace linscope::viz

#pragma once

#include "viz/gpu/handle.h"

namespace linscope::viz {

class Device;

/// A two-dimensional image of one level with its view, in device memory.
class Image {
public:
    Image() = default;
    /// Throws Error when the extent is past the device's maxImageDimension2D or memory is short.
    Image(const Device& device, VkExtent2D extent, VkFormat format, VkImageUsageFlags usage);

    VkImage get() const { return m_image.get(); }
    VkImageView view() const { return m_view.get(); }
    VkExtent2D extent() const { return m_extent; }
    VkFormat format() const { return m_format; }

private:
    MemoryHandle m_memory;
    ImageHandle m_image;
    ImageViewHandle m_view;
    VkExtent2D m_extent{};
    VkFormat m_format = VK_FORMAT_UNDEFINED;
};

}  // namespace linscope::viz

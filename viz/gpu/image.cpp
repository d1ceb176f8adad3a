#include "viz/gpu/image.h"

#include "core/base/error.h"
#include "viz/gpu/check.h"
#include "viz/gpu/device.h"

namespace linscope::viz {

Image::Image(const Device& device, VkExtent2D extent, VkFormat format, VkImageUsageFlags usage)
    : m_extent(extent), m_format(format) {
    const std::uint32_t limit = device.properties().limits.maxImageDimension2D;
    require(extent.width >= 1 && extent.height >= 1 && extent.width <= limit && extent.height <= limit, "vulkan",
            "an image side must be from 1 to {} pixels on {}, but the image is {} × {}", limit, device.name(),
            extent.width, extent.height);
    VkImageCreateInfo info{VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO};
    info.imageType = VK_IMAGE_TYPE_2D;
    info.format = format;
    info.extent = {extent.width, extent.height, 1};
    info.mipLevels = 1;
    info.arrayLayers = 1;
    info.samples = VK_SAMPLE_COUNT_1_BIT;
    info.tiling = VK_IMAGE_TILING_OPTIMAL;
    info.usage = usage;
    info.initialLayout = VK_IMAGE_LAYOUT_UNDEFINED;
    VkImage image = VK_NULL_HANDLE;
    check(vkCreateImage(device.handle(), &info, nullptr, &image), "vulkan", "create an image");
    m_image = ImageHandle(device.handle(), image);

    VkMemoryRequirements needs;
    vkGetImageMemoryRequirements(device.handle(), image, &needs);
    VkMemoryAllocateInfo allocation{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    allocation.allocationSize = needs.size;
    allocation.memoryTypeIndex = device.memoryType(needs.memoryTypeBits, 0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    VkDeviceMemory memory = VK_NULL_HANDLE;
    check(vkAllocateMemory(device.handle(), &allocation, nullptr, &memory), "vulkan", "allocate memory for an image");
    m_memory = MemoryHandle(device.handle(), memory);
    check(vkBindImageMemory(device.handle(), image, memory, 0), "vulkan", "bind memory to an image");

    VkImageViewCreateInfo viewInfo{VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO};
    viewInfo.image = image;
    viewInfo.viewType = VK_IMAGE_VIEW_TYPE_2D;
    viewInfo.format = format;
    viewInfo.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
    VkImageView view = VK_NULL_HANDLE;
    check(vkCreateImageView(device.handle(), &viewInfo, nullptr, &view), "vulkan", "create an image view");
    m_view = ImageViewHandle(device.handle(), view);
}

}  // namespace linscope::viz

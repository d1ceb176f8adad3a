#include "viz/gpu/buffer.h"

#include "core/base/error.h"
#include "viz/gpu/check.h"
#include "viz/gpu/device.h"

namespace linscope::viz {
namespace {

std::uint32_t memoryTypeFor(const Device& device, std::uint32_t typeBits, MemoryKind kind) {
    constexpr VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    switch (kind) {
        case MemoryKind::Upload:
            return device.memoryType(typeBits, host, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
        case MemoryKind::Readback:
            return device.memoryType(typeBits, host, VK_MEMORY_PROPERTY_HOST_CACHED_BIT);
        case MemoryKind::Device:
        case MemoryKind::Exported:
            break;
    }
    return device.memoryType(typeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
}

}  // namespace

Buffer::Buffer(const Device& device, VkDeviceSize bytes, VkBufferUsageFlags usage, MemoryKind kind) : m_bytes(bytes) {
    VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.size = bytes;
    info.usage = usage;
    info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    const VkExternalMemoryBufferCreateInfo external{VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, nullptr,
                                                    VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT};
    const VkExportMemoryAllocateInfo exported{VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO, nullptr,
                                              VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT};
    if (kind == MemoryKind::Exported) info.pNext = &external;
    VkBuffer buffer = VK_NULL_HANDLE;
    check(vkCreateBuffer(device.handle(), &info, nullptr, &buffer), "vulkan", "create a buffer");
    m_buffer = BufferHandle(device.handle(), buffer);

    VkMemoryRequirements needs;
    vkGetBufferMemoryRequirements(device.handle(), buffer, &needs);
    VkMemoryAllocateInfo allocation{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    if (kind == MemoryKind::Exported) allocation.pNext = &exported;
    m_allocated = allocation.allocationSize = needs.size;
    allocation.memoryTypeIndex = memoryTypeFor(device, needs.memoryTypeBits, kind);
    VkDeviceMemory memory = VK_NULL_HANDLE;
    check(vkAllocateMemory(device.handle(), &allocation, nullptr, &memory), "vulkan", "allocate memory for a buffer");
    m_memory = MemoryHandle(device.handle(), memory);
    check(vkBindBufferMemory(device.handle(), buffer, memory, 0), "vulkan", "bind memory to a buffer");
    if (kind == MemoryKind::Upload || kind == MemoryKind::Readback)
        check(vkMapMemory(device.handle(), memory, 0, VK_WHOLE_SIZE, 0, &m_mapped), "vulkan", "map a buffer");
}

int Buffer::exportMemory(const Device& device) const {
    const auto get = reinterpret_cast<PFN_vkGetMemoryFdKHR>(vkGetDeviceProcAddr(device.handle(), "vkGetMemoryFdKHR"));
    require(get, "vulkan", "{} is required, but {} has none", VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME, device.name());
    VkMemoryGetFdInfoKHR info{VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR};
    info.memory = m_memory.get();
    info.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT;
    int descriptor = -1;
    check(get(device.handle(), &info, &descriptor), "vulkan", "export memory");
    return descriptor;
}

}  // namespace linscope::viz

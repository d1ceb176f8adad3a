#pragma once

#include "viz/gpu/handle.h"

namespace linscope::viz {

class Device;

/// Where a buffer lives.
enum class MemoryKind {
    Upload,    ///< the host writes, the device reads; mapped for its whole life, coherent
    Readback,  ///< the device writes, the host reads; mapped, coherent, cached where possible
    Device,    ///< device only; filled by copies
};

class Buffer {
public:
    Buffer() = default;
    /// Throws Error when memory is short.
    Buffer(const Device& device, VkDeviceSize bytes, VkBufferUsageFlags usage, MemoryKind kind);

    VkBuffer get() const { return m_buffer.get(); }
    VkDeviceSize bytes() const { return m_bytes; }
    void* mapped() const { return m_mapped; }  ///< nullptr for MemoryKind::Device
    explicit operator bool() const { return bool(m_buffer); }

private:
    MemoryHandle m_memory;  // before the buffer: destroyed after it
    BufferHandle m_buffer;
    VkDeviceSize m_bytes = 0;
    void* m_mapped = nullptr;
};

}  // namespace linscope::viz

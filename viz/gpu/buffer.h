#pragma once

#include "viz/gpu/handle.h"

namespace linscope::viz {

class Device;

/// Where a buffer lives.
enum class MemoryKind {
    Upload,    ///< the host writes, the device reads; mapped for its whole life, coherent
    Readback,  ///< the device writes, the host reads; mapped, coherent, cached where possible
    Device,    ///< device only; filled by copies
    Exported,  ///< as Device, and another interface may be given it: exportMemory()
};

class Buffer {
public:
    Buffer() = default;
    /// Throws Error when memory is short.
    Buffer(const Device& device, VkDeviceSize bytes, VkBufferUsageFlags usage, MemoryKind kind);

    VkBuffer get() const { return m_buffer.get(); }
    VkDeviceSize bytes() const { return m_bytes; }
    void* mapped() const { return m_mapped; }  ///< nullptr for MemoryKind::Device and Exported
    /// A file descriptor of the memory of an Exported buffer, the caller's to close or to give away.
    int exportMemory(const Device& device) const;
    VkDeviceSize allocatedBytes() const { return m_allocated; }  ///< of the memory: bytes() and the device's padding
    explicit operator bool() const { return bool(m_buffer); }

private:
    MemoryHandle m_memory;  // before the buffer: destroyed after it
    BufferHandle m_buffer;
    VkDeviceSize m_bytes = 0, m_allocated = 0;
    void* m_mapped = nullptr;
};

}  // namespace linscope::viz

#include "core/tensor/arena.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "core/cuda/context.h"

namespace linscope {
namespace {
// A cache line, and what vector loads like; on the device, what its copies and matrix products like.
constexpr std::size_t kAlignment = 64, kDeviceAlignment = 256;
constexpr std::size_t kFirstBlock = 1 << 20, kFirstDeviceBlock = 1 << 25;

std::size_t aligned(std::size_t bytes, std::size_t alignment) {
    return (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
}
}  // namespace

Arena::~Arena() {
    clear(m_host, nullptr);
    clear(m_onDevice, m_device);
}

void Arena::clear(Blocks& blocks, DeviceContext* device) {
    for (const Block& block : blocks.all)
        if (device != nullptr)
            device->release(block.memory);
        else
            ::operator delete[](block.memory, std::align_val_t(kAlignment));
    blocks.all.clear();
}

void Arena::addBlock(Blocks& blocks, DeviceContext* device, std::size_t bytes) {
    void* memory = device != nullptr ? device->allocate(bytes) : ::operator new[](bytes, std::align_val_t(kAlignment));
    blocks.all.push_back({static_cast<std::byte*>(memory), bytes});
    ++m_heapAllocations;
}

std::byte* Arena::take(Blocks& blocks, DeviceContext* device, std::size_t bytes) {
    const std::size_t size = aligned(bytes, device != nullptr ? kDeviceAlignment : kAlignment);
    Place& at = blocks.at;
    // Blocks behind the present one are there when a Scratch has ended in one before them.
    for (; at.block < blocks.all.size() && at.offset + size > blocks.all[at.block].size; ++at.block) at.offset = 0;
    if (at.block == blocks.all.size())
        addBlock(blocks, device,
                 std::max({size, device != nullptr ? kFirstDeviceBlock : kFirstBlock,
                           blocks.all.empty() ? 0 : blocks.all.back().size}));
    std::byte* memory = blocks.all[at.block].memory + at.offset;
    at.offset += size;
    at.used += size;
    blocks.peak = std::max(blocks.peak, at.used);
    m_peak = std::max(m_peak, usedBytes());
    return memory;
}

void* Arena::allocate(std::size_t bytes) {
    return take(m_host, nullptr, bytes);
}

void* Arena::tensorMemory(std::size_t bytes) {
    if (m_device == nullptr) return take(m_host, nullptr, bytes);
    void* memory = take(m_onDevice, m_device, bytes);
    m_device->claim(memory, bytes);
    return memory;
}

Tensor Arena::tensor(const Shape& shape, DType type) {
    const auto bytes = static_cast<std::size_t>(shape.elements() * byteSize(type));
    const Tensor tensor(tensorMemory(bytes), shape, type, device());
    if (!m_poison || type == DType::I32) return tensor;
    if (m_device != nullptr)
        m_device->fill(tensor.raw(), 0xFF, bytes);  // all bits set: a NaN
    else if (type == DType::F32)
        std::ranges::fill(tensor.span<float>(), std::numeric_limits<float>::quiet_NaN());
    else
        std::ranges::fill(tensor.span<double>(), std::numeric_limits<double>::quiet_NaN());
    return tensor;
}

Tensor Arena::zeros(const Shape& shape, DType type) {
    const auto bytes = static_cast<std::size_t>(shape.elements() * byteSize(type));
    const Tensor tensor(tensorMemory(bytes), shape, type, device());
    if (m_device != nullptr)
        m_device->fill(tensor.raw(), 0, bytes);
    else
        std::memset(tensor.raw(), 0, bytes);
    return tensor;
}

void Arena::reset(Blocks& blocks, DeviceContext* device) {
    blocks.at = {};  // first: there may be no memory for the one block
    if (blocks.all.size() < 2) return;
    clear(blocks, device);
    addBlock(blocks, device, aligned(blocks.peak, kDeviceAlignment));
}

void Arena::reset() {
    reset(m_host, nullptr);
    reset(m_onDevice, m_device);
}

}  // namespace linscope

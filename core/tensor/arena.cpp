#include "core/tensor/arena.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

namespace linscope {
namespace {
constexpr std::size_t kAlignment = 64;  // a cache line, and what vector loads like
constexpr std::size_t kFirstBlock = 1 << 20;

std::size_t aligned(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}
}  // namespace

void Arena::AlignedDelete::operator()(std::byte* memory) const {
    ::operator delete[](memory, std::align_val_t(kAlignment));
}

void Arena::addBlock(std::size_t bytes) {
    Block block;
    block.memory.reset(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t(kAlignment))));
    block.size = bytes;
    m_blocks.push_back(std::move(block));
    m_offset = 0;
    ++m_heapAllocations;
}

void* Arena::allocate(std::size_t bytes) {
    const std::size_t size = aligned(std::max<std::size_t>(bytes, 1));
    if (m_blocks.empty() || m_offset + size > m_blocks.back().size)
        addBlock(std::max({size, kFirstBlock, m_blocks.empty() ? 0 : m_blocks.back().size}));
    std::byte* memory = m_blocks.back().memory.get() + m_offset;
    m_offset += size;
    m_used += size;
    m_peak = std::max(m_peak, m_used);
    return memory;
}

Tensor Arena::tensor(const Shape& shape, DType type) {
    const std::int64_t elements = shape.elements();
    Tensor tensor(allocate(static_cast<std::size_t>(elements * byteSize(type))), shape, type);
    if (m_poison) {
        if (type == DType::F32)
            std::ranges::fill(tensor.span<float>(), std::numeric_limits<float>::quiet_NaN());
        else if (type == DType::F64)
            std::ranges::fill(tensor.span<double>(), std::numeric_limits<double>::quiet_NaN());
    }
    return tensor;
}

Tensor Arena::zeros(const Shape& shape, DType type) {
    Tensor tensor(allocate(static_cast<std::size_t>(shape.elements() * byteSize(type))), shape, type);
    std::memset(tensor.raw(), 0, static_cast<std::size_t>(tensor.bytes()));
    return tensor;
}

void Arena::reset() {
    if (m_blocks.size() > 1) {
        m_blocks.clear();
        addBlock(aligned(m_peak));
    }
    m_offset = 0;
    m_used = 0;
}

}  // namespace linscope

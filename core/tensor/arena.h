#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/tensor/tensor.h"

namespace linscope {

/// Hands out memory that is given back all at once. A training step takes its activations, gradients
/// and tape nodes from one; after the first step reset() has kept one block large enough for all of it,
/// and later steps take nothing from the heap.
class Arena {
public:
    /// With `poison`, fresh memory is filled with NaN, so that a kernel that skips an element is found.
    explicit Arena(bool poison = false) : m_poison(poison) {}
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Uninitialised (or NaN) tensor.
    Tensor tensor(const Shape& shape, DType type = DType::F32);
    Tensor zeros(const Shape& shape, DType type = DType::F32);
    void* allocate(std::size_t bytes);

    /// An object that is never destroyed: its type must not need it.
    template <typename T, typename... Args>
    T* make(Args&&... args) {
        static_assert(std::is_trivially_destructible_v<T>);
        return new (allocate(sizeof(T))) T{std::forward<Args>(args)...};
    }

    /// Takes all memory back; if it came in several blocks, they become one.
    void reset();

    std::size_t usedBytes() const { return m_used; }
    std::size_t peakBytes() const { return m_peak; }
    /// How often memory was taken from the heap since the arena was made.
    std::int64_t heapAllocations() const { return m_heapAllocations; }

private:
    struct AlignedDelete {
        void operator()(std::byte* memory) const;
    };
    struct Block {
        std::unique_ptr<std::byte[], AlignedDelete> memory;
        std::size_t size = 0;
    };
    void addBlock(std::size_t bytes);

    std::vector<Block> m_blocks;
    std::size_t m_offset = 0;  // in the last block
    std::size_t m_used = 0, m_peak = 0;
    std::int64_t m_heapAllocations = 0;
    bool m_poison = false;
};

}  // namespace linscope

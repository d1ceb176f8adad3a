#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/tensor/tensor.h"

namespace linscope {

class DeviceContext;

/// Hands out memory that is given back all at once. A training step takes its activations, gradients
/// and tape nodes from one; after the first step reset() has kept one block large enough for all of it,
/// and later steps take nothing from the heap.
///
/// With a device, tensors are in the device's memory and everything else (tape nodes, what allocate() gives) stays in
/// the processor's: two runs of blocks under one roof, so that no operation has to know. As later steps repeat the
/// first, each of their tensors is where it was: what a captured graph relies on (core/train/device_step.h).
class Arena {
public:
    /// With `poison`, fresh tensors are filled with NaN, so that a kernel that skips an element is found.
    explicit Arena(bool poison = false) : m_poison(poison) {}
    /// Tensors in the memory of `device`, which must outlive the arena.
    explicit Arena(DeviceContext* device, bool poison = false) : m_device(device), m_poison(poison) {}
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Uninitialised (or NaN) tensor.
    Tensor tensor(const Shape& shape, DType type = DType::F32);
    Tensor zeros(const Shape& shape, DType type = DType::F32);
    /// In the processor's memory, whatever the device.
    void* allocate(std::size_t bytes);

    /// An object that is never destroyed: its type must not need it.
    template <typename T, typename... Args>
    T* make(Args&&... args) {
        static_assert(std::is_trivially_destructible_v<T>);
        return new (allocate(sizeof(T))) T{std::forward<Args>(args)...};
    }

    /// Takes all memory back; if it came in several blocks, they become one. Not while a Scratch lives.
    void reset();

    class Scratch;

    Device device() const { return m_device != nullptr ? Device::Cuda : Device::Cpu; }
    /// What the operations on this arena's tensors run on; nullptr: the processor.
    DeviceContext* context() const { return m_device; }

    std::size_t usedBytes() const { return m_host.at.used + m_onDevice.at.used; }
    std::size_t peakBytes() const { return m_peak; }
    /// How often memory was taken from the heap or the device since the arena was made.
    std::int64_t heapAllocations() const { return m_heapAllocations; }

private:
    struct Block {
        std::byte* memory = nullptr;
        std::size_t size = 0;
    };
    /// How far memory has been handed out.
    struct Place {
        std::size_t block = 0, offset = 0;
        std::size_t used = 0;
    };
    /// One kind of memory: blocks, of which those up to a place have been handed out.
    struct Blocks {
        std::vector<Block> all;
        Place at;
        std::size_t peak = 0;
    };
    std::byte* take(Blocks& blocks, DeviceContext* device, std::size_t bytes);
    void addBlock(Blocks& blocks, DeviceContext* device, std::size_t bytes);
    void clear(Blocks& blocks, DeviceContext* device);
    void reset(Blocks& blocks, DeviceContext* device);
    void* tensorMemory(std::size_t bytes);

    DeviceContext* m_device = nullptr;
    Blocks m_host, m_onDevice;
    std::size_t m_peak = 0;
    std::int64_t m_heapAllocations = 0;
    bool m_poison = false;
};

/// While it lives, what the arena hands out is on loan: its end takes that back and nothing that was taken before. On a
/// device all work that the memory is for must have been asked for by then; whoever is given the memory next waits for
/// what goes on beside with it (DeviceContext::claim()).
class Arena::Scratch {
public:
    explicit Scratch(Arena& arena) : m_arena(arena), m_host(arena.m_host.at), m_onDevice(arena.m_onDevice.at) {}
    ~Scratch() {
        m_arena.m_host.at = m_host;
        m_arena.m_onDevice.at = m_onDevice;
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

private:
    Arena& m_arena;
    Place m_host, m_onDevice;
};

}  // namespace linscope

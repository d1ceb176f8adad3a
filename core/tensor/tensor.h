#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace linscope {

enum class DType : std::uint8_t {
    F32,
    F64,
    I32,
    BF16,  ///< on a device alone: what nothing but factors of products is made of (core/cuda/rounded.h)
};
/// A number with 7 bits of fraction, the upper half of a float.
struct Bf16 {
    std::uint16_t bits;
};
/// Whose memory numbers are in, and so who computes with them.
enum class Device : std::uint8_t { Cpu, Cuda };
constexpr const char* nameOf(Device device) {
    return device == Device::Cpu ? "cpu" : "cuda";
}
std::int64_t byteSize(DType type);

template <typename T>
inline constexpr DType dtypeOf = DType::F32;
template <>
inline constexpr DType dtypeOf<double> = DType::F64;
template <>
inline constexpr DType dtypeOf<std::int32_t> = DType::I32;
template <>
inline constexpr DType dtypeOf<Bf16> = DType::BF16;

/// Up to five extents, the last one contiguous (row-major everywhere).
class Shape {
public:
    static constexpr int kMaxRank = 5;
    Shape() = default;
    Shape(std::initializer_list<std::int64_t> extents);
    int rank() const { return m_rank; }
    std::int64_t operator[](int axis) const { return m_extents[axis < 0 ? axis + m_rank : axis]; }
    std::int64_t elements() const;
    /// Product of the extents [begin, end).
    std::int64_t product(int begin, int end) const;
    /// The same with another extent of `axis`.
    Shape with(int axis, std::int64_t extent) const;
    bool operator==(const Shape& other) const = default;
    std::string text() const;  ///< "[8, 512, 128]"

private:
    std::array<std::int64_t, kMaxRank> m_extents{};
    int m_rank = 0;
};

/// A view of row-major memory that an Arena owns: copying a Tensor copies no numbers, and it is valid
/// as long as its arena is neither reset nor destroyed.
class Tensor {
public:
    Tensor() = default;
    Tensor(void* data, const Shape& shape, DType type, Device device = Device::Cpu)
        : m_data(data), m_shape(shape), m_type(type), m_device(device) {}

    const Shape& shape() const { return m_shape; }
    DType type() const { return m_type; }
    Device device() const { return m_device; }
    bool onDevice() const { return m_device != Device::Cpu; }
    std::int64_t elements() const { return m_shape.elements(); }
    std::int64_t bytes() const { return elements() * byteSize(m_type); }
    bool empty() const { return m_data == nullptr; }

    /// The numbers as T, in the processor's memory; throws Error when the tensor's type or device is another one.
    template <typename T>
    T* as() const {
        if (m_type != dtypeOf<T> || m_device != Device::Cpu) throwOther(dtypeOf<T>, Device::Cpu);
        return static_cast<T*>(m_data);
    }
    /// The same of a tensor in the device's memory: an address for kernels, which the processor must not read.
    template <typename T>
    T* onDeviceAs() const {
        if (m_type != dtypeOf<T> || m_device != Device::Cuda) throwOther(dtypeOf<T>, Device::Cuda);
        return static_cast<T*>(m_data);
    }
    template <typename T>
    std::span<T> span() const {
        return {as<T>(), static_cast<std::size_t>(elements())};
    }
    void* raw() const { return m_data; }

    /// The same memory in another shape of as many elements; throws Error otherwise.
    Tensor reshaped(const Shape& shape) const;

private:
    [[noreturn]] void throwOther(DType type, Device device) const;
    void* m_data = nullptr;
    Shape m_shape;
    DType m_type = DType::F32;
    Device m_device = Device::Cpu;
};

/// Calls `function(float{})` or `function(double{})` according to the type: how one definition of an
/// operation serves training in single and proofs in double precision.
template <typename Function>
void dispatchReal(DType type, Function&& function) {
    if (type == DType::F64)
        function(double{});
    else
        function(float{});
}

}  // namespace linscope

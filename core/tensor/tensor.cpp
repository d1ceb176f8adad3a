#include "core/tensor/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/error.h"

namespace linscope {

std::int64_t byteSize(DType type) {
    return type == DType::F64 ? 8 : type == DType::BF16 ? 2 : 4;
}

Shape::Shape(std::initializer_list<std::int64_t> extents) {
    require(extents.size() <= kMaxRank, "shape", "at most {} axes, but got {}", kMaxRank, extents.size());
    for (std::int64_t extent : extents) {
        require(extent >= 0, "shape", "extents of at least 0, but got {}", extent);
        m_extents[m_rank++] = extent;
    }
}

Shape Shape::with(int axis, std::int64_t extent) const {
    Shape result = *this;
    result.m_extents[static_cast<std::size_t>(axis < 0 ? axis + m_rank : axis)] = extent;
    return result;
}

std::int64_t Shape::elements() const {
    return product(0, m_rank);
}

std::int64_t Shape::product(int begin, int end) const {
    std::int64_t product = 1;
    for (int axis = begin; axis < end; ++axis) product *= m_extents[axis];
    return product;
}

std::string Shape::text() const {
    return fmt::format("[{}]", fmt::join(m_extents.begin(), m_extents.begin() + m_rank, ", "));
}

Tensor Tensor::reshaped(const Shape& shape) const {
    require(shape.elements() == elements(), "tensor", "a shape of {} elements, but got {}", elements(), shape.text());
    return {m_data, shape, m_type, m_device};
}

void Tensor::throwOther(DType type, Device device) const {
    const auto name = [](DType t) {
        return t == DType::F32 ? "f32" : t == DType::F64 ? "f64" : t == DType::I32 ? "i32" : "bf16";
    };
    fail("tensor", "{} in the memory of {} was required, but the tensor holds {} in that of {}", name(type),
         nameOf(device), name(m_type), nameOf(m_device));
}

}  // namespace linscope

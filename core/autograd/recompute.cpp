#include "core/autograd/recompute.h"

#include <cstring>

#include "core/base/error.h"
#include "core/cuda/context.h"

namespace linscope::detail {
namespace {

constexpr std::int64_t kMostSums =
    512;  // rows: those of a norm's blocks on up to 170 multiprocessors; where there are more, sums go without

void makeRoom(const Variable& x, const GradientRoom*& room) {
    Arena& arena = x.tape().arena();
    const DeviceContext* context = arena.context();
    if (context == nullptr || context->precision() != Precision::Bf16 || room != nullptr) return;
    room = arena.make<GradientRoom>(arena.tensor(x.shape(), DType::BF16), arena.tensor({kMostSums, x.shape()[-1]}));
}

}  // namespace

void copyNumbers(const Arena& arena, const Tensor& from, const Tensor& to) {
    require(from.shape() == to.shape() && from.type() == to.type(), "recomputed",
            "a function from {} to the same shape and type, but it gave {}", to.shape().text(), from.shape().text());
    const auto bytes = static_cast<std::size_t>(to.bytes());
    if (DeviceContext* device = arena.context(); device != nullptr) {
        device->claim(to);
        device->copy(to.raw(), from.raw(), bytes);
    } else {
        std::memcpy(to.raw(), from.raw(), bytes);
    }
}

void makeRooms(const Variable& y) {
    makeRoom(y, y.state()->room);
    makeRoom(y, y.state()->spare);
}

void handIn(const Variable& y, const Variable& out, const Variable& in) {
    const VariableState& from = *y.state();
    out.state()->roundedGradient = from.roundedGradient;
    out.state()->gradientSums = from.gradientSums;
    out.state()->room = from.room;
    in.state()->room = from.spare;
}

void handOut(const Variable& out, const Variable& in, const Variable& x) {
    VariableState& to = *x.state();
    to.roundedGradient = in.state()->roundedGradient;
    to.gradientSums = in.state()->gradientSums;
    to.room = in.state()->room;
    to.spare = out.state()->room;
}

Variable sameOn(Tape& inner, const Variable& x) {
    const Variable same = inner.make(x.value(), x.needsGradient());
    if (const Tensor gradient = x.gradient(); !gradient.empty()) same.adoptGradient(gradient);
    return same;
}

}  // namespace linscope::detail

#include <algorithm>
#include <optional>

#include "core/ops/elementwise.h"
#include "core/ops/gelu_product.h"
#include "core/ops/layer_norm.h"
#include "core/ops/linear_forms.cuh"
#include "core/ops/residual.h"

namespace linscope::cuda {
namespace {

// Of a residual, from which on memory is spared that a little time buys: bytes, and parts of the largest.
constexpr std::int64_t kLarge = std::int64_t{8} << 20, kLargest = std::int64_t{64} << 20, kParts = 2;

/// Rows [begin, end) of [R,C].
Tensor rowsOf(const Tensor& x, std::int64_t columns, std::int64_t begin, std::int64_t end) {
    return {x.onDeviceAs<Bf16>() + begin * columns, {end - begin, columns}, DType::BF16, Device::Cuda};
}

}  // namespace

Residual residual(const Variable& onto, const Variable& x, const Layer& layer, const Layer& norm) {
    if (!inBf16(x)) {
        const Variable sum = cuda::add(onto, linscope::linear(x, layer.weight, layer.bias));
        return {sum, cuda::layerNorm(sum, norm.weight, norm.bias, Readers::Products)};
    }
    const std::int64_t rows = onto.value().elements() / layer.weight.shape()[0];
    const Residual both{
        x.tape().result(onto.shape(), DType::F32, onto, x, layer.weight, layer.bias),
        x.tape().result(onto.shape(), DType::BF16, onto, x, layer.weight, layer.bias, norm.weight, norm.bias)};
    // By way of the norm's own place, which takes half of the time of a product onto numbers in single precision.
    const Tensor& place = both.normed.value();
    contextOf(x).blas().multiply(forwardForm(layer.weight, layer.bias, rows, place), factorOf(x).raw(),
                                 factorOf(layer.weight).raw(), place.raw());
    x.tape().record(both.sum, [=] {
        const Flow flow = roundedFlowOf(both.sum, layer.weight);
        inputBackward(flow, outOf(x), layer.weight);
        parametersBackward(flow, factorOf(x), layer.weight, layer.bias);
        // The products beside read the copy, so that onto may take the gradient itself over and add to it.
        if (onto.needsGradient() && !onto.adoptGradient(both.sum.gradient())) addGradient(onto, both.sum);
    });
    layerNormInto(both.normed, both.sum, norm.weight, norm.bias, onto);
    return both;
}

Variable feedForward(const Variable& onto, const Variable& x, const Layer& up, const Layer& down) {
    if (!inBf16(x))
        return cuda::add(
            onto, linscope::linear(linscope::linear(x, up.weight, up.bias, Activation::Gelu), down.weight, down.bias));
    Tape& tape = x.tape();
    Arena& arena = tape.arena();
    const std::int64_t inner = up.weight.shape()[0], rows = x.value().elements() / up.weight.shape()[1];
    const Variable y = tape.result(onto.shape(), DType::F32, onto, x, up.weight, up.bias, down.weight, down.bias);
    const Tensor pre = arena.tensor({rows, inner}, DType::BF16);
    // Copies in bfloat16 are made here, since those that a scratch holds do not outlive it.
    const Tensor in = roundedOf(x), downWeight = roundedOf(down.weight);
    for (const Variable& parameter : {up.weight, up.bias}) roundedOf(parameter);
    // What is activated is the largest value of a block: where that is worth it, it is computed again when needed.
    const bool sparing = onto.value().bytes() >= kLarge;
    std::optional<Arena::Scratch> scratch;
    if (sparing) scratch.emplace(arena);
    const Tensor hidden = arena.tensor({rows, inner}, DType::BF16);
    geluProduct(in, up.weight, up.bias, pre, hidden);
    Products toY = forwardForm(down.weight, down.bias, rows, y.value());
    toY.onto = onto.value().onDeviceAs<float>();
    contextOf(y).blas().multiply(toY, hidden.raw(), downWeight.raw(), y.value().raw());
    scratch.reset();
    tape.record(y, [=] {
        Arena& arena = y.tape().arena();
        const Flow toDown = roundedFlowOf(y, down.weight);
        biasBackward(toDown.sums, down.bias);  // small, and first: nothing waits for it at the end
        const Out dx = outOf(x);               // before the scratch, which it outlives
        // Of the largest values a part at a time is activated, where the next one waits for the gradient of `down`.
        const std::int64_t parts = onto.value().bytes() >= kLargest ? kParts : 1, ofPart = (rows + parts - 1) / parts;
        std::optional<Arena::Scratch> scratch;
        if (sparing) scratch.emplace(arena);
        // What is activated comes first, whose reader beside ends before dPre's does: whoever is given the beginning of
        // this memory next, waits for that one alone.
        const Tensor some = sparing ? arena.tensor({ofPart, inner}, DType::BF16) : Tensor{},
                     dPre = arena.tensor({rows, inner}, DType::BF16);
        for (std::int64_t begin = 0; begin < rows; begin += ofPart) {
            const std::int64_t end = std::min(begin + ofPart, rows);
            const Tensor dy = rowsOf(toDown.dy, toDown.columns, begin, end),
                         activated = sparing ? rowsOf(some, inner, 0, end - begin) : Tensor{};
            if (begin > 0) contextOf(y).claim(some);
            const Tensor sums = geluProductBack(dy, down.weight, rowsOf(pre, inner, begin, end),
                                                rowsOf(dPre, inner, begin, end), activated);
            if (sparing) weightBackward(flowOf(dy, down.weight), activated, down.weight);
            biasBackward(sums, up.bias);
        }
        const Flow toUp = flowOf(dPre, up.weight);
        // Whoever has the memory next waits for the gradient of `up`: the sooner it begins, the better.
        if (sparing) weightBackward(toUp, roundedOf(x), up.weight);
        inputBackward(toUp, dx, up.weight);
        if (!sparing) {
            weightBackward(toDown, hidden, down.weight);
            weightBackward(toUp, roundedOf(x), up.weight);
        }
        scratch.reset();
        if (onto.needsGradient() && !onto.adoptGradient(y.gradient())) addGradient(onto, y);
    });
    return y;
}

}  // namespace linscope::cuda

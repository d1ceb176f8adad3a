#include <algorithm>
#include <optional>

#include "core/autograd/release.h"
#include "core/ops/elementwise.h"
#include "core/ops/gelu_product.h"
#include "core/ops/layer_norm.h"
#include "core/ops/linear_forms.cuh"
#include "core/ops/residual.h"

namespace linscope::cuda {
namespace {

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
    // What is activated is the largest value of a block: where memory is spared, it is computed again when needed.
    const bool again = sparesMemory(onto);
    std::optional<Arena::Scratch> scratch;
    if (again) scratch.emplace(arena);
    const Tensor hidden = arena.tensor({rows, inner}, DType::BF16);
    geluProduct(in, up.weight, up.bias, pre, hidden);
    Products toY = forwardForm(down.weight, down.bias, rows, y.value());
    toY.onto = onto.value().onDeviceAs<float>();
    contextOf(y).blas().multiply(toY, hidden.raw(), downWeight.raw(), y.value().raw());
    scratch.reset();
    tape.record(y, [=] {
        DeviceContext& context = contextOf(y);
        Arena& arena = y.tape().arena();
        const Flow toDown = roundedFlowOf(y, down.weight);
        biasBackward(toDown.sums, down.bias);  // small, and first: nothing waits for it at the end
        const Out dx = outOf(x);               // before the scratch, which it outlives
        // The larger the values, the more is worth waiting for: for the gradients of parameters, behind which the
        // memory is given back, and for those of `down`, so that a part of what was activated is there at a time.
        const bool passing = sparesMemory(onto, 2);
        const std::int64_t parts = sparesMemory(onto, 8) ? 4 : 1, ofPart = (rows + parts - 1) / parts;
        std::optional<Arena::Scratch> scratch;
        if (passing) scratch.emplace(arena);
        const Tensor dPre = arena.tensor({rows, inner}, DType::BF16),
                     activated = again ? arena.tensor({ofPart, inner}, DType::BF16) : Tensor{};
        for (std::int64_t begin = 0; begin < rows; begin += ofPart) {
            const std::int64_t end = std::min(begin + ofPart, rows);
            if (begin > 0) context.join();
            const Tensor dy = rowsOf(toDown.dy, toDown.columns, begin, end),
                         some = again ? rowsOf(activated, inner, 0, end - begin) : Tensor{};
            const Tensor sums =
                geluProductBack(dy, down.weight, rowsOf(pre, inner, begin, end), rowsOf(dPre, inner, begin, end), some);
            if (again) weightBackward(flowOf(dy, down.weight), some, down.weight);
            biasBackward(sums, up.bias);
        }
        const Flow toUp = flowOf(dPre, up.weight);
        if (passing) weightBackward(toUp, roundedOf(x), up.weight);
        inputBackward(toUp, dx, up.weight);
        if (!again) weightBackward(toDown, hidden, down.weight);
        if (!passing) weightBackward(toUp, roundedOf(x), up.weight);
        if (passing) context.join();
        scratch.reset();
        if (onto.needsGradient() && !onto.adoptGradient(y.gradient())) addGradient(onto, y);
    });
    return y;
}

}  // namespace linscope::cuda

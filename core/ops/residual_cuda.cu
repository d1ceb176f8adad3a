#include <algorithm>
#include <optional>

#include "core/autograd/release.h"
#include "core/ops/elementwise.h"
#include "core/ops/gelu.cuh"
#include "core/ops/layer_norm.h"
#include "core/ops/linear_forms.cuh"
#include "core/ops/residual.h"

namespace linscope::cuda {
namespace {

/// Eight numbers in bfloat16: function(x), or of two of them function(x, y).
template <typename Function>
__device__ uint4 applyToEight(const Function& function, const uint4& x, const uint4& y) {
    const auto pair = [&](unsigned a, unsigned b) {
        return packBf16(function(__uint_as_float(a << 16), __uint_as_float(b << 16)),
                        function(__uint_as_float(a & 0xFFFF0000u), __uint_as_float(b & 0xFFFF0000u)));
    };
    return {pair(x.x, y.x), pair(x.y, y.y), pair(x.z, y.z), pair(x.w, y.w)};
}

/// to = gelu(pre), both in bfloat16.
void geluForward(cudaStream_t stream, const Tensor& pre, const Tensor& to) {
    const Bf16* in = pre.onDeviceAs<Bf16>();
    Bf16* out = to.onDeviceAs<Bf16>();
    const std::int64_t count = pre.elements(), eights = count / 8;
    forEach(stream, eights, "gelu", [=] __device__(std::int64_t i) {
        const uint4 x = reinterpret_cast<const uint4*>(in)[i];
        reinterpret_cast<uint4*>(out)[i] = applyToEight(Gelu{}, x, x);
    });
    forEach(stream, count - 8 * eights, "gelu",
            [=] __device__(std::int64_t i) { out[8 * eights + i] = toBf16(Gelu{}(toFloat(in[8 * eights + i]), 0)); });
}

constexpr int kLines = 8;  // of a block, a warp each, whose threads have eight columns each

constexpr int kTogether = 2;  // rows of a warp whose loads are on their way at once

/// In place of dL/dgelu(pre) dL/dpre, [R,C], and what each block has summed of its rows of that [parts,C]. Blocks: 256
/// columns, parts.
__global__ void geluBackKernel(const Bf16* __restrict__ pre, Bf16* __restrict__ gradient, std::int64_t rows,
                               int columns, float* sums) {
    __shared__ float lines[kLines][8][kWarp];
    const int column = 8 * static_cast<int>(blockIdx.x * kWarp + threadIdx.x), line = static_cast<int>(threadIdx.y);
    const bool there = column < columns;
    const std::int64_t step = static_cast<std::int64_t>(gridDim.y) * kLines;
    float sum[8]{};
    for (std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kLines + line; there && first < rows;
         first += kTogether * step) {
        uint4 x[kTogether]{}, d[kTogether]{};
        const auto placeOf = [&](int n) { return (first + n * step) * columns + column; };
#pragma unroll
        for (int n = 0; n < kTogether; ++n)
            if (first + n * step < rows) {
                x[n] = *reinterpret_cast<const uint4*>(pre + placeOf(n));
                d[n] = *reinterpret_cast<const uint4*>(gradient + placeOf(n));
            }
#pragma unroll
        for (int n = 0; n < kTogether; ++n) {
            const uint4 back = applyToEight(GeluBack{}, x[n], d[n]);
            if (first + n * step < rows) *reinterpret_cast<uint4*>(gradient + placeOf(n)) = back;
            const unsigned pairs[4] = {back.x, back.y, back.z, back.w};
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                sum[2 * i] += __uint_as_float(pairs[i] << 16);
                sum[2 * i + 1] += __uint_as_float(pairs[i] & 0xFFFF0000u);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) lines[line][i][threadIdx.x] = sum[i];
    __syncthreads();
    if (!there) return;
    // Each warp adds one of the eight columns of all threads up.
    float own = 0;
    for (int l = 0; l < kLines; ++l) own += lines[l][line][threadIdx.x];
    sums[static_cast<std::int64_t>(blockIdx.y) * columns + column + line] = own;
}

/// From dL/dgelu(pre) in `gradient` the flow to the layer that gave pre, in the same place.
Flow geluBackward(DeviceContext& context, const Tensor& pre, const Tensor& gradient, const Variable& weight) {
    const std::int64_t columns = weight.shape()[0], rows = pre.elements() / columns;
    Flow flow = flowOf(gradient, weight);
    const Bf16* in = pre.onDeviceAs<Bf16>();
    Bf16* to = gradient.onDeviceAs<Bf16>();
    if (columns % 8 != 0) {
        forEach(context.stream(), pre.elements(), "gelu, backwards",
                [=] __device__(std::int64_t i) { to[i] = toBf16(GeluBack{}(toFloat(in[i]), toFloat(to[i]))); });
        return flow;
    }
    // As many blocks as a device has room for.
    const unsigned across = blocksFor(columns, 8 * kWarp),
                   parts = std::min(blocksFor(rows, kLines), blocksFor(5 * context.processors(), across));
    flow.sums = weight.tape().arena().tensor({parts, columns});
    geluBackKernel<<<dim3(across, parts), dim3(kWarp, kLines), 0, context.stream()>>>(
        in, to, rows, static_cast<int>(columns), flow.sums.onDeviceAs<float>());
    checkLaunch("gelu, backwards");
    return flow;
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
        const Flow flow = flowOf(roundedGradientOf(both.sum), layer.weight);
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
    Blas& blas = contextOf(y).blas();
    // Copies in bfloat16 are made here, since those that a scratch holds do not outlive it.
    const Tensor in = roundedOf(x), upWeight = roundedOf(up.weight), downWeight = roundedOf(down.weight);
    const Products toPre = forwardForm(up.weight, up.bias, rows, pre);
    Products toHidden = toPre, toY = forwardForm(down.weight, down.bias, rows, y.value());
    toHidden.epilogue = Epilogue::Gelu;
    toHidden.pre = pre.raw();
    toY.onto = onto.value().onDeviceAs<float>();
    // What is activated is the largest value of a block: where memory is spared, it is computed again when needed.
    const bool again = sparesMemory(onto);
    std::optional<Arena::Scratch> scratch;
    if (again) scratch.emplace(arena);
    const Tensor hidden = arena.tensor({rows, inner}, DType::BF16);
    // As an epilogue GELU spares a kernel, but of values this large the product with it takes longer than both.
    if (again || !blas.multiplyIfPossible(toHidden, in.raw(), upWeight.raw(), hidden.raw())) {
        blas.multiply(toPre, in.raw(), upWeight.raw(), pre.raw());
        geluForward(streamOf(y), pre, hidden);
    }
    blas.multiply(toY, hidden.raw(), downWeight.raw(), y.value().raw());
    scratch.reset();
    tape.record(y, [=] {
        DeviceContext& context = contextOf(y);
        Arena& arena = y.tape().arena();
        const Tensor dy = roundedGradientOf(y);
        const Out dx = outOf(x);  // before the scratch, which it outlives
        // The larger the values, the more is worth waiting for: for the gradients of parameters, behind which the
        // memory is given back, and for those of `down`, before dL/dpre takes the place of what was activated.
        const bool passing = sparesMemory(onto, 2), inTurn = sparesMemory(onto, 8);
        std::optional<Arena::Scratch> scratch;
        if (passing) scratch.emplace(arena);
        const Tensor activated = again ? arena.tensor(pre.shape(), DType::BF16) : hidden;
        const Tensor dPre = inTurn ? activated : arena.tensor(pre.shape(), DType::BF16);
        const Flow toDown = flowOf(dy, down.weight);
        const auto ofDown = [&] { parametersBackward(toDown, activated, down.weight, down.bias); };
        if (again) {
            const DeviceContext::Beside beside(context);
            geluForward(context.stream(), pre, activated);
        }
        if (passing) ofDown();
        if (inTurn) context.join();
        // By a kernel of its own: with GELU's gradient as an epilogue the product takes three times as long.
        inputBackward(toDown, outOf(dPre), down.weight);
        const Flow toUp = geluBackward(context, pre, dPre, up.weight);
        if (passing) {
            parametersBackward(toUp, roundedOf(x), up.weight, up.bias);
            inputBackward(toUp, dx, up.weight);
        } else {
            ofDown();
            inputBackward(toUp, dx, up.weight);
            parametersBackward(toUp, roundedOf(x), up.weight, up.bias);
        }
        if (passing) context.join();
        scratch.reset();
        if (onto.needsGradient() && !onto.adoptGradient(y.gradient())) addGradient(onto, y);
    });
    return y;
}

}  // namespace linscope::cuda

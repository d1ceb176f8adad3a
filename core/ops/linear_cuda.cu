#include <algorithm>
#include <array>

#include "core/ops/elementwise.h"
#include "core/ops/gelu.cuh"
#include "core/ops/linear_forms.cuh"

namespace linscope::cuda {
namespace {

/// out = function(x, dy) by number, four at a time where they come in fours. dy null: 0.
template <typename Function>
void apply(cudaStream_t stream, const char* name, Function function, const float* x, const float* dy, float* out,
           std::int64_t count) {
    if (count % 4 != 0) {
        forEach(stream, count, name,
                [=] __device__(std::int64_t i) { out[i] = function(x[i], dy != nullptr ? dy[i] : 0.0f); });
        return;
    }
    forEach(stream, count / 4, name, [=] __device__(std::int64_t i) {
        const float4 v = reinterpret_cast<const float4*>(x)[i];
        const float4 d = dy != nullptr ? reinterpret_cast<const float4*>(dy)[i] : float4{};
        reinterpret_cast<float4*>(out)[i] = {function(v.x, d.x), function(v.y, d.y), function(v.z, d.z),
                                             function(v.w, d.w)};
    });
}

/// Numbers in bfloat16 that 16 bytes hold: where tensors that lie side by side and rows of factors begin at multiples
/// of these, the library takes its kernels for the device at hand; else those for the first tensor cores.
constexpr std::int64_t kAligned = 8;

/// y = x·Wᵀ + b in bfloat16 to y [R,O] F32, with as many rows of zeros in W as bring O to a multiple of kAligned: a
/// vocabulary of 257 bytes.
void paddedLinear(const Variable& y, const Variable& x, const Variable& weight, const Variable& bias) {
    const std::int64_t out = weight.shape()[0], in = weight.shape()[1], rows = y.value().elements() / out,
                       wide = (out + kAligned - 1) / kAligned * kAligned;
    Arena& arena = y.tape().arena();
    DeviceContext& context = contextOf(y);
    const Tensor weights = arena.tensor({wide, in}, DType::BF16), factor = roundedOf(x);
    const Bf16* narrow = roundedOf(weight).onDeviceAs<Bf16>();
    Bf16* padded = weights.onDeviceAs<Bf16>();
    forEach(context.stream(), wide * in, "linear, padding",
            [=] __device__(std::int64_t i) { padded[i] = i < out * in ? narrow[i] : toBf16(0.0f); });
    const auto from = static_cast<unsigned>(wide), to = static_cast<unsigned>(out);
    {
        const Arena::Scratch scratch(arena);
        const Tensor product = arena.tensor({rows, wide});
        Products form{{.m = rows, .n = wide, .k = in, .transposeB = true, .lda = in, .ldb = in, .ldc = wide}};
        form.factors = DType::BF16;
        context.blas().multiply(form, factor.raw(), weights.raw(), product.raw());
        const float *numbers = product.onDeviceAs<float>(), *b = bias.value().onDeviceAs<float>();
        float* result = y.value().onDeviceAs<float>();
        forEach(context.stream(), rows * out, "linear, padding", [=] __device__(std::int64_t i) {
            const unsigned row = static_cast<unsigned>(i) / to, column = static_cast<unsigned>(i) % to;
            result[i] = numbers[static_cast<std::int64_t>(row) * from + column] + b[column];
        });
    }
    y.tape().record(y, [=] {
        const Flow flow{y.tape().arena().tensor({rows, wide}, DType::BF16), rows, wide, y.gradient()};
        const float* dy = y.gradient().onDeviceAs<float>();
        Bf16* rounded = flow.dy.onDeviceAs<Bf16>();
        forEach(streamOf(y), rows * wide, "linear, padding", [=] __device__(std::int64_t i) {
            const unsigned row = static_cast<unsigned>(i) / from, column = static_cast<unsigned>(i) % from;
            rounded[i] = toBf16(column < to ? dy[static_cast<std::int64_t>(row) * to + column] : 0.0f);
        });
        if (const Out dx = outOf(x); dx.data != nullptr) inputBackward(contextOf(y), flow, dx, weights);
        parametersBackward(flow, roundedOf(x), weight, bias);
    });
}

/// By how many numbers the tensors of layers lie apart where that is one distance; 0 where it is not.
template <typename Address>
std::int64_t distanceOf(const std::array<Layer, 3>& layers, std::size_t size, const Address& addressOf) {
    const auto at = [&](std::size_t i) { return static_cast<const char*>(addressOf(layers[i])); };
    const std::ptrdiff_t one = at(1) - at(0);
    return one > 0 && at(2) - at(1) == one ? one / static_cast<std::ptrdiff_t>(size) : 0;
}

/// Adds the gradients of three layers from those of their results and x, as batches. False, and nothing is done, where
/// not all of them lie at one distance.
bool parametersBackward(const Three& results, const Variable& x, const std::array<Layer, 3>& layers) {
    for (const Layer& layer : layers)
        if (!layer.weight.state()->hasGradient || !layer.bias.state()->hasGradient) return false;
    const Tensor dy = results[0].gradient();
    const std::int64_t out = layers[0].weight.shape()[0], in = layers[0].weight.shape()[1], rows = dy.elements() / out;
    for (std::size_t i = 1; i < results.size(); ++i)
        if (static_cast<const char*>(results[i].gradient().raw()) !=
            static_cast<const char*>(dy.raw()) + static_cast<std::ptrdiff_t>(i) * dy.bytes())
            return false;
    const auto weightOf = [](const Layer& l) { return l.weight.state()->gradient.raw(); };
    const auto biasOf = [](const Layer& l) { return l.bias.state()->gradient.raw(); };
    const std::int64_t ofWeights = distanceOf(layers, sizeof(float), weightOf),
                       ofBiases = distanceOf(layers, sizeof(float), biasOf);
    if (ofWeights == 0 || ofBiases == 0) return false;
    DeviceContext& context = contextOf(x);
    const Tensor factor = roundedOf(x);
    const DeviceContext::Beside beside(context, {dy, results[1].gradient(), results[2].gradient(), factor});
    Products form{{.m = out, .n = in, .k = rows, .transposeA = true, .lda = out, .ldb = in, .ldc = in, .beta = 1.0}};
    form.factors = DType::BF16;
    form.batches = 3;
    form.strideA = rows * out;
    form.strideC = ofWeights;
    context.blas().multiply(form, dy.raw(), factor.raw(), weightOf(layers[0]));
    sumColumns(x.tape().arena(),
               {.dy = dy.raw(),
                .rounded = true,
                .rows = rows,
                .columns = out,
                .count = 3,
                .strideDy = rows * out,
                .strideBias = ofBiases},
               {}, layers[0].bias);
    return true;
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight, const Variable& bias, Activation activation, Readers readers,
                const Shape& shape) {
    const std::int64_t out = weight.shape()[0], rows = shape.elements() / out;
    Tape& tape = x.tape();
    const bool active = activation != Activation::None;
    const DType type = readers == Readers::Products && !active ? productType(tape.arena()) : DType::F32;
    const Variable y = tape.result(shape, type, x, weight, bias);
    const Tensor pre = active ? tape.arena().tensor(shape) : Tensor{};
    const Tensor& target = active ? pre : y.value();
    if (inBf16(x) && type == DType::F32 && !active && out % kAligned != 0) {
        paddedLinear(y, x, weight, bias);
        return y;
    }
    contextOf(y).blas().multiply(forwardForm(weight, bias, rows, target), factorOf(x).raw(), factorOf(weight).raw(),
                                 target.raw());
    if (active)
        apply(streamOf(y), "gelu", Gelu{}, pre.onDeviceAs<float>(), nullptr, y.value().onDeviceAs<float>(), rows * out);
    tape.record(y, [=] {
        Tensor dy = y.gradient();
        if (!pre.empty()) {
            dy = y.tape().arena().tensor(pre.shape());
            apply(streamOf(y), "gelu, backwards", GeluBack{}, pre.onDeviceAs<float>(), y.gradient().onDeviceAs<float>(),
                  dy.onDeviceAs<float>(), rows * out);
            if (inBf16(y)) dy = rounded(y.tape().arena(), dy);
        } else if (inBf16(y)) {
            dy = roundedGradientOf(y);
        }
        const Flow flow = flowOf(dy, weight);
        inputBackward(flow, outOf(x), weight);
        parametersBackward(flow, factorOf(x), weight, bias);
    });
    return y;
}

Three linears(const Variable& x, const std::array<Layer, 3>& layers, const Shape& shape, Readers readers) {
    Tape& tape = x.tape();
    Arena& arena = tape.arena();
    const std::int64_t out = layers[0].weight.shape()[0], rows = shape.elements() / out;
    std::int64_t ofWeights = 0, ofBiases = 0;
    if (readers == Readers::Products && productType(arena) == DType::BF16 && rows * out % kAligned == 0) {
        ofWeights = distanceOf(layers, sizeof(Bf16), [](const Layer& l) { return roundedOf(l.weight).raw(); });
        ofBiases = distanceOf(layers, sizeof(Bf16), [](const Layer& l) { return roundedOf(l.bias).raw(); });
    }
    Three results;
    if (ofWeights == 0 || ofBiases == 0) {
        for (std::size_t i = 0; i < results.size(); ++i)
            results[i] = reshape(
                cuda::linear(x, layers[i].weight, layers[i].bias, Activation::None, readers, {rows, out}), shape);
        return results;
    }
    const Tensor all = arena.tensor({3, rows * out}, DType::BF16);
    bool learns = x.needsGradient();
    for (const Layer& layer : layers) learns = learns || layer.weight.needsGradient() || layer.bias.needsGradient();
    for (std::size_t i = 0; i < results.size(); ++i)
        results[i] = tape.make(Tensor(all.onDeviceAs<Bf16>() + static_cast<std::int64_t>(i) * rows * out, shape,
                                      DType::BF16, Device::Cuda),
                               learns);
    Products form = forwardForm(layers[0].weight, layers[0].bias, rows, results[0].value());
    form.batches = 3;
    form.strideB = ofWeights;
    form.strideC = rows * out;
    form.strideBias = ofBiases;
    Blas& blas = contextOf(x).blas();
    const void* in = roundedOf(x).raw();
    if (!blas.multiplyIfPossible(form, in, roundedOf(layers[0].weight).raw(), all.raw()))
        for (std::size_t i = 0; i < results.size(); ++i)
            blas.multiply(forwardForm(layers[i].weight, layers[i].bias, rows, results[i].value()), in,
                          roundedOf(layers[i].weight).raw(), results[i].value().raw());
    // Gradients are complete when the first of these is called, which is the last result's. Those of the layers are
    // asked for before x's, so that they are computed beside all of x's.
    for (std::size_t i = 0; i < results.size(); ++i)
        tape.record(results[i], [results, x, layers, i] {
            bool whole = true;
            for (const Variable& result : results) whole = whole && !result.gradient().empty();
            const bool first = i + 1 == results.size();
            if (!whole || (first && !parametersBackward(results, x, layers)))
                for (std::size_t j = 0; j < results.size(); ++j)
                    if (whole || j == i)
                        parametersBackward(flowOf(results[j].gradient(), layers[j].weight), roundedOf(x),
                                           layers[j].weight, layers[j].bias);
            inputBackward(flowOf(results[i].gradient(), layers[i].weight), outOf(x), layers[i].weight);
        });
    return results;
}

}  // namespace linscope::cuda

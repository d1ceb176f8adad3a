#include <array>
#include <optional>

#include "core/autograd/release.h"
#include "core/cuda/blas.h"
#include "core/cuda/launch.cuh"
#include "core/cuda/reduce.h"
#include "core/cuda/rounded.h"
#include "core/ops/elementwise.h"
#include "core/ops/linear.h"

namespace linscope::cuda {
namespace {

constexpr float kScale = 0.7978845608028654f, kCubic = 0.044715f;  // core/ops/gelu.h

/// tanh(√(2/π)(x + 0.044715x³)). The form loses digits near 0, where GELU adds 1 to it.
__device__ inline float tanhOf(float x) {
    return 1.0f - __fdividef(2.0f, 1.0f + __expf(2.0f * kScale * x * (1.0f + kCubic * x * x)));
}

struct Gelu {
    __device__ float operator()(float x, float) const { return 0.5f * x * (1.0f + tanhOf(x)); }
};
struct GeluBack {
    __device__ float operator()(float x, float dy) const {
        const float t = tanhOf(x);
        return dy * 0.5f * ((1.0f + t) + x * (1.0f - t * t) * kScale * (1.0f + 3.0f * kCubic * x * x));
    }
};

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

/// Two numbers in bfloat16 of function(x, dy).
template <typename Function>
__device__ unsigned applyToPair(const Function& function, unsigned x, unsigned dy) {
    return packBf16(function(__uint_as_float(x << 16), __uint_as_float(dy << 16)),
                    function(__uint_as_float(x & 0xFFFF0000u), __uint_as_float(dy & 0xFFFF0000u)));
}

/// The same of numbers in bfloat16, eight at a time: to = function(x), or with `gradient` to = function(x, to).
template <typename Function>
void applyRounded(cudaStream_t stream, const char* name, Function function, const Tensor& x, const Tensor& to,
                  bool gradient) {
    const Bf16* in = x.onDeviceAs<Bf16>();
    Bf16* out = to.onDeviceAs<Bf16>();
    const std::int64_t count = x.elements(), eights = count / 8;
    forEach(stream, eights, name, [=] __device__(std::int64_t i) {
        const uint4 v = reinterpret_cast<const uint4*>(in)[i];
        const uint4 d = gradient ? reinterpret_cast<const uint4*>(out)[i] : uint4{};
        reinterpret_cast<uint4*>(out)[i] = {applyToPair(function, v.x, d.x), applyToPair(function, v.y, d.y),
                                            applyToPair(function, v.z, d.z), applyToPair(function, v.w, d.w)};
    });
    forEach(stream, count - 8 * eights, name, [=] __device__(std::int64_t i) {
        const std::int64_t at = 8 * eights + i;
        out[at] = toBf16(function(toFloat(in[at]), gradient ? toFloat(out[at]) : 0.0f));
    });
}

/// activated = gelu(x) and gradient = gelu'(x)·gradient, numbers in eights, by one pass over x.
void geluAgainAndBack(cudaStream_t stream, const Tensor& x, const Tensor& activated, const Tensor& gradient) {
    const Bf16* in = x.onDeviceAs<Bf16>();
    Bf16 *again = activated.onDeviceAs<Bf16>(), *back = gradient.onDeviceAs<Bf16>();
    forEach(stream, x.elements() / 8, "gelu, backwards", [=] __device__(std::int64_t i) {
        const uint4 v = reinterpret_cast<const uint4*>(in)[i], d = reinterpret_cast<const uint4*>(back)[i];
        reinterpret_cast<uint4*>(again)[i] = {applyToPair(Gelu{}, v.x, 0), applyToPair(Gelu{}, v.y, 0),
                                              applyToPair(Gelu{}, v.z, 0), applyToPair(Gelu{}, v.w, 0)};
        reinterpret_cast<uint4*>(back)[i] = {applyToPair(GeluBack{}, v.x, d.x), applyToPair(GeluBack{}, v.y, d.y),
                                             applyToPair(GeluBack{}, v.z, d.z), applyToPair(GeluBack{}, v.w, d.w)};
    });
}

bool inBf16(const Variable& x) {
    return contextOf(x).precision() == Precision::Bf16;
}
/// A value as the factor of a product.
Tensor factorOf(const Variable& x) {
    return inBf16(x) ? roundedOf(x) : x.value();
}

/// y = x·Wᵀ + b, with more where `form` says so.
Products forwardForm(const Variable& weight, const Variable& bias, std::int64_t rows, const Tensor& y) {
    const std::int64_t out = weight.shape()[0], in = weight.shape()[1];
    Products form{{.m = rows, .n = out, .k = in, .transposeB = true, .lda = in, .ldb = in, .ldc = out}};
    form.factors = inBf16(weight) ? DType::BF16 : DType::F32;
    form.result = y.type();
    form.bias = (y.type() == DType::BF16 ? roundedOf(bias) : bias.value()).raw();
    return form;
}
/// dx (+)= dy·W
Products backwardForm(const Variable& weight, const Tensor& dy, const Out& dx) {
    const std::int64_t out = weight.shape()[0], in = weight.shape()[1];
    Products form{
        {.m = dy.elements() / out, .n = in, .k = out, .lda = out, .ldb = in, .ldc = in, .beta = dx.add ? 1.0 : 0.0}};
    form.factors = dy.type();
    form.result = dx.rounded ? DType::BF16 : DType::F32;
    return form;
}

/// The gradients of weight and bias from dy and x, factors both, which nobody may write to before the tape joins.
void parametersBackward(const Tensor& dy, const Tensor& x, const Variable& weight, const Variable& bias) {
    const std::int64_t out = weight.shape()[0], in = weight.shape()[1], rows = dy.elements() / out;
    DeviceContext& context = contextOf(weight);
    const DeviceContext::Beside beside(context);
    if (weight.needsGradient()) {
        const Out dw = outOf(weight);
        Products form{{.m = out,
                       .n = in,
                       .k = rows,
                       .transposeA = true,
                       .lda = out,
                       .ldb = in,
                       .ldc = in,
                       .beta = dw.add ? 1.0 : 0.0}};
        form.factors = dy.type();
        context.blas().multiply(form, dy.raw(), x.raw(), dw.data);
    }
    sumColumns(weight.tape().arena(),
               {.dy = dy.raw(), .rounded = dy.type() == DType::BF16, .rows = rows, .columns = out}, {}, bias);
}

void inputBackward(const Tensor& dy, const Out& dx, const Variable& weight) {
    if (dx.data == nullptr) return;
    contextOf(weight).blas().multiply(backwardForm(weight, dy, dx), dy.raw(), factorOf(weight).raw(), dx.data);
}

constexpr std::int64_t kAligned = 8;  // numbers in bfloat16: tensors that lie side by side begin at 16 bytes

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
    const DeviceContext::Beside beside(context);
    Products form{{.m = out, .n = in, .k = rows, .transposeA = true, .lda = out, .ldb = in, .ldc = in, .beta = 1.0}};
    form.factors = DType::BF16;
    form.batches = 3;
    form.strideA = rows * out;
    form.strideC = ofWeights;
    context.blas().multiply(form, dy.raw(), roundedOf(x).raw(), weightOf(layers[0]));
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
        inputBackward(dy, outOf(x), weight);
        parametersBackward(dy, factorOf(x), weight, bias);
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
    // Gradients are complete when the first of these is called, and the first result's comes last.
    for (std::size_t i = 0; i < results.size(); ++i)
        tape.record(results[i], [results, x, layers, i] {
            const Variable& y = results[i];
            inputBackward(y.gradient(), outOf(x), layers[i].weight);
            bool whole = true;
            for (const Variable& result : results) whole = whole && !result.gradient().empty();
            if (whole && i > 0) return;
            if (whole && parametersBackward(results, x, layers)) return;
            for (std::size_t j = 0; j < results.size(); ++j)
                if (whole || j == i)
                    parametersBackward(results[j].gradient(), roundedOf(x), layers[j].weight, layers[j].bias);
        });
    return results;
}

Variable linearOnto(const Variable& onto, const Variable& x, const Variable& weight, const Variable& bias) {
    if (!inBf16(x)) return cuda::add(onto, linscope::linear(x, weight, bias));
    const std::int64_t rows = onto.value().elements() / weight.shape()[0];
    const Variable y = x.tape().result(onto.shape(), DType::F32, onto, x, weight, bias);
    Products form = forwardForm(weight, bias, rows, y.value());
    form.onto = onto.value().onDeviceAs<float>();
    contextOf(y).blas().multiply(form, factorOf(x).raw(), factorOf(weight).raw(), y.value().raw());
    x.tape().record(y, [=] {
        const Tensor dy = roundedGradientOf(y);
        inputBackward(dy, outOf(x), weight);
        parametersBackward(dy, factorOf(x), weight, bias);
        // The products beside read the copy, so that onto may take the gradient itself over and add to it.
        if (onto.needsGradient() && !onto.adoptGradient(y.gradient())) addGradient(onto, y);
    });
    return y;
}

Variable feedForward(const Variable& onto, const Variable& x, const Layer& up, const Layer& down) {
    if (!inBf16(x))
        return cuda::linearOnto(onto, linscope::linear(x, up.weight, up.bias, Activation::Gelu), down.weight,
                                down.bias);
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
        applyRounded(streamOf(y), "gelu", Gelu{}, pre, hidden, false);
    }
    blas.multiply(toY, hidden.raw(), downWeight.raw(), y.value().raw());
    scratch.reset();
    tape.record(y, [=] {
        DeviceContext& context = contextOf(y);
        Arena& arena = y.tape().arena();
        const Tensor dy = roundedGradientOf(y);
        const Out dx = outOf(x);  // before the scratch, which it outlives
        const bool passing = sparesMemory(onto, 2);
        std::optional<Arena::Scratch> scratch;
        if (passing) scratch.emplace(arena);
        const Tensor dPre = arena.tensor(pre.shape(), DType::BF16),
                     activated = again ? arena.tensor(pre.shape(), DType::BF16) : hidden;
        // By a kernel of its own: with GELU's gradient as an epilogue the product takes three times as long.
        context.blas().multiply(backwardForm(down.weight, dy, outOf(dPre)), dy.raw(), roundedOf(down.weight).raw(),
                                dPre.raw());
        if (again && pre.elements() % 8 == 0) {
            geluAgainAndBack(streamOf(y), pre, activated, dPre);
        } else {
            if (again) applyRounded(streamOf(y), "gelu", Gelu{}, pre, activated, false);
            applyRounded(streamOf(y), "gelu, backwards", GeluBack{}, pre, dPre, true);
        }
        parametersBackward(dy, activated, down.weight, down.bias);
        inputBackward(dPre, dx, up.weight);
        parametersBackward(dPre, roundedOf(x), up.weight, up.bias);
        if (passing) context.join();
        scratch.reset();
        if (onto.needsGradient() && !onto.adoptGradient(y.gradient())) addGradient(onto, y);
    });
    return y;
}

}  // namespace linscope::cuda

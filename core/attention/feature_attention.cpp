#include "core/attention/feature_attention.h"

#include <type_traits>

#include "core/attention/feature_passes.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"

namespace linscope {
namespace {

using features::Gradients;
using features::Head;
using features::Scratch;

/// All that both passes know of one call; lives in the tape's arena.
struct Call {
    const FeatureMap* map;
    Variable q, k, v, o;
    FeatureAttentionOptions options;
    std::int64_t batch, length, heads, width;
    Tensor phiQ, phiK;                // [B,H,keptFeatures()] or empty
    Tensor logWeights, top, divisor;  // [B,H,T]
    Tensor state, sum;                // [B,H,M,D], [B,H,M], bidirectional alone

    /// What there is for the T·M features of a head: each head's begin as those in Scratch do, so that Eigen, which
    /// computes by where a row begins in memory, gives the same bits whether they are kept or not.
    static std::int64_t keptFeatures(std::int64_t length, std::int64_t features) {
        return features::Scratch<float>::padded(length * features);
    }
    std::int64_t chunk() const { return std::min(length, options.causal ? features::kCausalChunk : features::kChunk); }

    std::int64_t offset(std::int64_t i) const { return i / heads * length * heads * width + i % heads * width; }

    template <typename T>
    Head<T> head(std::int64_t i) const {
        const std::int64_t M = map->features(), at = offset(i);
        const auto part = [&](const Tensor& tensor, std::int64_t size) {
            return tensor.empty() ? nullptr : tensor.as<T>() + i * size;
        };
        Head<T> head;
        head.map = map;
        head.index = i % heads;
        head.length = length;
        head.width = width;
        head.stride = heads * width;
        head.q = q.value().as<T>() + at;
        head.k = k.value().as<T>() + at;
        head.v = v.value().as<T>() + at;
        head.keep = options.keep.empty() ? nullptr : options.keep.data() + i / heads * length;
        head.causal = options.causal;
        head.normaliser = options.normaliser;
        // Random features stay in fp32: gradients through their exponents are differences that bf16 loses.
        head.precision = map->costly() ? Precision::Single : q.tape().precision();
        head.slope =
            options.slopes.empty() ? T(0) : static_cast<T>(options.slopes[static_cast<std::size_t>(i % heads)]);
        head.phiQ = part(phiQ, keptFeatures(length, M));
        head.phiK = part(phiK, keptFeatures(length, M));
        head.logWeights = part(logWeights, length);
        head.top = part(top, length);
        head.divisor = part(divisor, length);
        head.state = part(state, M * width);
        head.sum = part(sum, M);
        if constexpr (std::is_same_v<T, float>)
            if (!options.carried.empty())
                head.carried = FeatureMemory<float>::at(
                    options.carried.data() + i * FeatureMemory<float>::size(M, width), M, width);
        return head;
    }
};

/// Calls function(head index, scratch of this thread) for every head of every sample.
template <typename T, typename Function>
void forHeads(const Call& call, Function&& function) {
    const std::int64_t count = call.batch * call.heads, threads = std::min<std::int64_t>(threadCount(), count);
    const std::int64_t size = Scratch<T>::size(call.map->features(), call.width, call.chunk());
    T* memory = call.q.tape().arena().tensor({threads, size}, dtypeOf<T>).template as<T>();
    parallelFor(threads, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t part = first; part < last; ++part) {
            const Scratch<T> scratch(memory + part * size, call.map->features(), call.width, call.chunk());
            for (std::int64_t i = count * part / threads; i < count * (part + 1) / threads; ++i) function(i, scratch);
        }
    });
}

template <typename T>
void forward(const Call& call) {
    forHeads<T>(call, [&](std::int64_t i, const Scratch<T>& scratch) {
        T* o = call.o.value().as<T>() + call.offset(i);
        if (call.options.causal)
            features::causalForward(call.head<T>(i), o, scratch);
        else
            features::bidirectionalForward(call.head<T>(i), o, scratch);
    });
}

template <typename T>
void backward(const Call& call) {
    Arena& arena = call.q.tape().arena();
    // A gradient nobody asks for goes to scratch memory: rare, and the loop stays one.
    const auto sinkOf = [&](const Variable& x) {
        return x.needsGradient() ? x.gradientSink() : Variable::Sink{arena.tensor(x.shape(), x.type()), false};
    };
    const Variable::Sink dq = sinkOf(call.q), dk = sinkOf(call.k), dv = sinkOf(call.v);
    // Samples share their heads' parameters: each head of each sample has a gradient of its own, summed in order
    // at the end, so that the number of threads does not matter.
    const auto parameters = call.map->parameters();
    const std::int64_t size = parameters.empty() ? 0 : parameters[0]->value.elements();
    T* own = size > 0 ? arena.zeros({call.batch * call.heads, size}, dtypeOf<T>).template as<T>() : nullptr;
    forHeads<T>(call, [&](std::int64_t i, const Scratch<T>& scratch) {
        const std::int64_t at = call.offset(i);
        const Gradients<T> out{call.o.value().as<T>() + at,
                               call.o.gradient().as<T>() + at,
                               dq.tensor.as<T>() + at,
                               dk.tensor.as<T>() + at,
                               dv.tensor.as<T>() + at,
                               dq.accumulate,
                               dk.accumulate,
                               dv.accumulate,
                               size > 0 ? own + i * size : nullptr};
        const Head<T> head = call.head<T>(i);
        if (call.options.causal) {
            features::causalBackwardQueries(head, out, scratch);
            features::causalBackwardKeys(head, out, scratch);
        } else {
            features::bidirectionalBackward(head, out, scratch);
        }
    });
    for (std::int64_t h = 0; size > 0 && h < call.heads; ++h) {
        if (!parameters[static_cast<std::size_t>(h)]->trained()) continue;
        features::Vector<T> gradient(parameters[static_cast<std::size_t>(h)]->gradient.as<T>(), size);
        for (std::int64_t b = 0; b < call.batch; ++b)
            gradient += features::Vector<T>(own + (b * call.heads + h) * size, size);
    }
}

}  // namespace

Variable featureAttention(const FeatureMap& map, const Variable& q, const Variable& k, const Variable& v,
                          const FeatureAttentionOptions& options) {
    const Shape& s = q.shape();
    require(s.rank() == 4 && k.shape() == s && v.shape() == s, "feature attention",
            "q, k and v of one shape [B,T,H,D], but got {}, {}, {}", s.text(), k.shape().text(), v.shape().text());
    require(options.keep.empty() || static_cast<std::int64_t>(options.keep.size()) == s[0] * s[1], "feature attention",
            "a mask [B,T] of {} values, but got {}", s[0] * s[1], options.keep.size());
    require((options.slopes.empty() && options.carried.empty()) || options.causal, "feature attention",
            "a decay or a past in the causal form, but the form is bidirectional");
    if (!options.carried.empty())
        checkCarried(q, options.carried, s[2] * FeatureMemory<float>::size(map.features(), s[3]));
    if (q.value().onDevice()) {
        require(map.recipe().kind != FeatureRecipe::Kind::None, "feature attention",
                "a feature map with a CUDA form, but this one has none yet; use --device cpu");
        return cuda::featureAttention(map, q, k, v, options);
    }
    Tape& tape = q.tape();
    Arena& arena = tape.arena();
    const DType type = q.type();
    bool learns = q.needsGradient() || k.needsGradient() || v.needsGradient();
    for (const Parameter* parameter : map.parameters()) learns = learns || parameter->trained();
    const Variable o = tape.make(arena.tensor(s, type), learns);
    const bool kept = map.costly() && learns && tape.recording();
    const Shape tokens{s[0], s[2], s[1]}, all{s[0], s[2], Call::keptFeatures(s[1], map.features())};
    Call* call = arena.make<Call>();
    *call = {.map = &map,
             .q = q,
             .k = k,
             .v = v,
             .o = o,
             .options = options,
             .batch = s[0],
             .length = s[1],
             .heads = s[2],
             .width = s[3],
             .phiQ = kept ? arena.tensor(all, type) : Tensor{},
             .phiK = kept ? arena.tensor(all, type) : Tensor{},
             .logWeights = arena.tensor(tokens, type),
             .top = arena.tensor(tokens, type),
             .divisor = arena.tensor(tokens, type),
             .state = options.causal ? Tensor{} : arena.tensor({s[0], s[2], map.features(), s[3]}, type),
             .sum = options.causal ? Tensor{} : arena.tensor({s[0], s[2], map.features()}, type)};
    dispatchReal(type, [&](auto zero) { forward<decltype(zero)>(*call); });
    tape.record(o, [call] { dispatchReal(call->o.type(), [&](auto zero) { backward<decltype(zero)>(*call); }); });
    return o;
}

Variable kernelAverage(const Variable& weights, const Variable& v, const FeatureAttentionOptions& options) {
    const Shape& s = weights.shape();
    const std::int64_t batch = s[0], heads = s[1], length = s[2], pairs = length * length;
    const Tensor seen = v.tape().arena().tensor(s, v.type());  // e^(−slope·(i − j)), 0 where a query does not see a key
    dispatchReal(v.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t n = 0; n < batch * heads * pairs; ++n) {
            const std::int64_t head = n / pairs % heads, b = n / pairs / heads;
            const std::int64_t i = n % pairs / length, j = n % length;
            const bool hidden = (options.causal && j > i) ||
                                (!options.keep.empty() && options.keep[static_cast<std::size_t>(b * length + j)] == 0);
            const double slope = options.slopes.empty() ? 0 : options.slopes[static_cast<std::size_t>(head)];
            seen.as<T>()[n] = hidden ? T(0) : static_cast<T>(std::exp(-slope * static_cast<double>(i - j)));
        }
    });
    const Variable visible = multiplyConstant(weights, seen);
    const Variable sums = matmul(visible, swapMiddle(v));  // [B,H,T,D]
    const auto inverse = [](auto x) { return x != 0 ? 1 / x : x; };
    if (options.normaliser == Normaliser::Sum) {
        const Variable factors = pointwise(sumLast(visible), inverse, [](auto, auto y) { return -y * y; });
        return swapMiddle(multiplyRows(sums, factors));
    }
    const Variable squares = scale(sumLast(multiply(sums, sums)), 1.0 / static_cast<double>(v.shape()[3]));
    const Variable factors = pointwise(
        squares, [](auto x) { return x != 0 ? 1 / std::sqrt(x) : x; },
        [](auto, auto y) { return decltype(y)(-0.5) * y * y * y; });
    return swapMiddle(multiplyRows(sums, factors));
}

Variable projectHeads(const Variable& x, std::span<Parameter* const> projections) {
    std::vector<Variable> leaves;
    for (const Parameter* p : projections) leaves.push_back(leafOf(x.tape(), *p));
    std::vector<Variable> all;  // of every head of every sample
    for (std::int64_t b = 0; b < x.shape()[0]; ++b) all.insert(all.end(), leaves.begin(), leaves.end());
    const Shape& w = projections[0]->value.shape();
    return matmul(x, reshape(stack(all), {x.shape()[0], x.shape()[1], w[0], w[1]}), {.transposeB = true});
}

}  // namespace linscope

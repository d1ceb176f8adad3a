#include "core/attention/nystrom/nystrom.h"
#include "core/attention/proof_case.h"

#include <algorithm>
#include <cmath>

#include "core/attention/nystrom/landmark_inverse.h"
#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/ops/pointwise.h"
#include "core/ops/softmax.h"

namespace linscope {

void NystromOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"landmarks", "landmarks", "Means of segments of q and k that stand for all of them."}, landmarks,
                    {.minimum = 1});
    visitor.integer({"iterations", "", "Steps of the pseudo-inverse's iteration; the paper has 6."}, iterations,
                    {.minimum = 1, .maximum = 30});
}

namespace {

void validate(const NystromOptions& options, const AttentionSizes& sizes) {
    require(options.landmarks <= sizes.length, "nystrom",
            "landmarks must be at most the length {}, but is {}; lower landmarks or raise task.length", sizes.length,
            options.landmarks);
}

// Numbers of landmarks that divide nothing, one landmark, as many as tokens, and another number of iterations.
std::vector<OptionValues> variants(const AttentionSizes& sizes) {
    const std::int64_t some = std::max<std::int64_t>(1, std::min<std::int64_t>(sizes.length * 2 / 3, 37));
    const auto options = [](std::int64_t landmarks, std::int64_t iterations) {
        return OptionValues{{"landmarks", landmarks}, {"iterations", iterations}};
    };
    return {options(some, 6), options(1, 6), options(std::min<std::int64_t>(sizes.length, 64), 2)};
}

template <typename Function>
Tensor filled(Arena& arena, const Shape& shape, DType type, Function&& function) {
    const Tensor tensor = arena.tensor(shape, type);
    dispatchReal(type, [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.as<T>()[i] = static_cast<T>(function(i));
    });
    return tensor;
}

/// The definition's pieces for one call; M landmarks, of which a sample may lack the last ones.
struct Naive {
    Tape& tape;
    const LandmarkSegments& segments;
    std::int64_t batch, length, heads, landmarks;
    DType type;

    /// x [B,H,T,D] → [B,H,M,D] by a product with the matrix of means.
    Variable means(const Variable& x) const {
        const Tensor mean = filled(tape.arena(), {batch, heads, landmarks, length}, type, [&](std::int64_t i) {
            const std::int64_t t = i % length, m = i / length % landmarks, b = i / (length * landmarks * heads);
            return segments.segment.as<std::int32_t>()[b * length + t] == m
                       ? 1.0 / segments.size.as<std::int32_t>()[b * landmarks + m]
                       : 0.0;
        });
        return matmul(tape.constant(mean), x);
    }
    /// x [B,H,M,S] with the rows of landmarks that a sample lacks set to 0.
    Variable rowsThatAre(const Variable& x) const {
        const std::int64_t columns = x.shape()[3];
        return multiplyConstant(x, filled(tape.arena(), x.shape(), type, [&](std::int64_t i) {
                                    const std::int64_t m = i / columns % landmarks,
                                                       b = i / (columns * landmarks * heads);
                                    return segments.keep.as<float>()[b * landmarks + m];
                                }));
    }
    Variable identity(double factor) const {
        const std::int64_t m = landmarks;
        return tape.constant(filled(tape.arena(), {batch, heads, m, m}, type,
                                    [&](std::int64_t i) { return i % (m * m) % (m + 1) == 0 ? factor : 0.0; }));
    }
    /// 1/‖A‖₁ for each head, [B,H,1,1]: the greatest sum of a column; 0 where a sample has no token at all.
    Variable inverseNorm(const Variable& a) const {
        const Variable ones =
            tape.constant(filled(tape.arena(), {1, landmarks}, type, [](std::int64_t) { return 1.0; }));
        const Variable sums = matmul(ones, a);  // [B,H,1,M]
        const Tensor widest = filled(tape.arena(), sums.shape(), type, [](std::int64_t) { return 0.0; });
        dispatchReal(type, [&](auto zero) {
            using T = decltype(zero);
            for (std::int64_t i = 0; i < batch * heads; ++i) {
                const T* row = sums.value().as<T>() + i * landmarks;
                widest.as<T>()[i * landmarks + (std::max_element(row, row + landmarks) - row)] = T(1);
            }
        });
        return pointwise(
            sumLast(multiplyConstant(sums, widest)), [](auto x) { return x == 0 ? x : 1 / x; },
            [](auto, auto y) { return -y * y; });
    }
    /// Z of A [B,H,M,M], in plain operations.
    Variable inverse(const Variable& a, std::int64_t iterations) const {
        const Variable ones =
            tape.constant(filled(tape.arena(), {landmarks, 1}, type, [](std::int64_t) { return 1.0; }));
        const Variable one = identity(1), seven = identity(7), fifteen = identity(15), thirteen = identity(13);
        Variable z = multiplyRows(matmul(one, a, {.transposeB = true}), matmul(ones, inverseNorm(a)));
        for (std::int64_t i = 0; i < iterations; ++i) {
            const Variable p = matmul(a, z);
            const Variable b1 = add(seven, scale(p, -1)), b2 = add(fifteen, scale(matmul(p, b1), -1)),
                           b3 = add(thirteen, scale(matmul(p, b2), -1));
            z = scale(matmul(z, b3), 0.25);
        }
        return z;
    }
};

}  // namespace

NystromAttention::NystromAttention(const NystromOptions& options, const AttentionSizes& sizes)
    : Mechanism(sizes), m_options(options) {
    validate(options, sizes);
}

Variable NystromAttention::forwardImpl(const AttentionInput& input) const {
    const Shape& shape = input.q.shape();
    const LandmarkSegments segments =
        shareOut(input.q.tape().arena(), shape[0], shape[1], m_options.landmarks, input.keep);
    const Variable q = segmentMeans(input.q, segments), k = segmentMeans(input.k, segments);
    const Variable w = landmarkAttend(q, input.k, input.v, input.keep);
    return landmarkAttend(input.q, k, landmarkInverse(q, k, w, segments, m_options.iterations), segments.kept());
}

Variable NystromAttention::naiveImpl(const AttentionInput& input) const {
    const Shape& shape = input.q.shape();
    Tape& tape = input.q.tape();
    const LandmarkSegments segments = shareOut(tape.arena(), shape[0], shape[1], m_options.landmarks, input.keep);
    const std::span<const float> kept = segments.keep.span<float>();
    const Naive naive{tape, segments, shape[0], shape[1], shape[2], m_options.landmarks, input.q.type()};
    const double factor = 1.0 / std::sqrt(static_cast<double>(shape[3]));
    const Variable q = swapMiddle(input.q), k = swapMiddle(withoutPadding(input.k, input.keep)),
                   v = swapMiddle(withoutPadding(input.v, input.keep));
    const Variable qMeans = naive.means(swapMiddle(withoutPadding(input.q, input.keep))), kMeans = naive.means(k);
    const auto scores = [&](const Variable& a, const Variable& b) {
        return scale(matmul(a, b, {.transposeB = true}), factor);
    };
    const Variable toLandmarks = softmax(scores(q, kMeans), kept);                             // [B,H,T,M]
    const Variable between = naive.rowsThatAre(softmax(scores(qMeans, kMeans), kept));         // [B,H,M,M]
    const Variable fromLandmarks = naive.rowsThatAre(softmax(scores(qMeans, k), input.keep));  // [B,H,M,T]
    const Variable values = matmul(naive.inverse(between, m_options.iterations), matmul(fromLandmarks, v));
    return swapMiddle(matmul(toLandmarks, values));
}

namespace {

// With a landmark for each token all three factors are the map A, and AZA = A once Z has converged.
std::vector<TheoryResult> theory() {
    const AttentionSizes sizes{.heads = 2, .headWidth = 8, .length = 12};
    const proofs::Case nystrom{
        &findMechanism("nystrom"), sizes, 2, {{"landmarks", std::int64_t{12}}, {"iterations", std::int64_t{24}}}};
    const proofs::Case full{&findMechanism("full"), sizes, 2, {}};
    return {{"a landmark for each token is exact attention",
             proofs::difference(nystrom, full, proofs::randomInputs(full)), 1e-9}};
}

}  // namespace

MechanismInfo nystromMechanism() {
    return {
        .name = "nystrom",
        .title = "Nyström",
        .summary = "Softmax attention through landmarks: means of segments of q and k, and an iterated pseudo-inverse.",
        .paper = "Xiong et al. 2021, arXiv:2102.03902",
        .traits = {.signedMap = true, .mapAxis = MapAxis::Slots},
        .options = specsOf<NystromOptions>(),
        .create = [](const OptionValues& options, const AttentionSizes& sizes,
                     ParameterStore&) -> std::unique_ptr<Mechanism> {
            return std::make_unique<NystromAttention>(optionsFrom<NystromOptions>(options, "nystrom"), sizes);
        },
        .validate =
            [](const OptionValues& options, const AttentionSizes& sizes) {
                validate(optionsFrom<NystromOptions>(options, "nystrom"), sizes);
            },
        .variants = variants,
        .position = [](Position position, bool) -> PositionFit {
            if (position == Position::Rotary)
                return {Fit::Approximate, "a landmark is the mean of q or k turned by different angles"};
            return {Fit::Refused, "a landmark is the mean of a segment, so that it has no distance from a token"};
        },
        .cudaForm = [](const OptionValues&,
                       const AttentionSizes& sizes) { return sizes.headWidth <= cuda::kMostHeadWidth; },
        .cudaForms = "head widths up to 128 have one",
        .theory = theory,
    };
}

}  // namespace linscope

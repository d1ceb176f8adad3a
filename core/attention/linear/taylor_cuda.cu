#include <cmath>
#include <numbers>
#include <vector>

#include "core/attention/decay_scan.h"
#include "core/attention/head_norm.h"
#include "core/attention/linear/taylor.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

constexpr int kRowThreads = 128;
constexpr float kRootHalf = static_cast<float>(std::numbers::sqrt2 / 2);

/// Rows of x and of their features: 1, y, and for each a the products y_a·y_b with b ≥ a, squares times √½; y = x/D^¼.
struct Rows {
    int length, heads, width;  // T, H, D
    std::int64_t features;     // M
    float factor;              // D^−¼
    const float* keep;         // [B,T] or null: features of padding are 0

    __device__ bool there(std::int64_t row) const { return keep == nullptr || keep[row / heads] != 0.0f; }
    __device__ std::int64_t place(int a, int b) const {
        return 1 + width + static_cast<std::int64_t>(a) * width - static_cast<std::int64_t>(a) * (a - 1) / 2 + b - a;
    }
};

/// Blocks: rows.
__global__ void featuresKernel(Rows rows, const float* x, float* phi) {
    waitForEarlier();
    const std::int64_t row = blockIdx.x;
    const float *in = x + row * rows.width, one = rows.there(row) ? 1.0f : 0.0f, factor = one * rows.factor;
    float* out = phi + row * rows.features;
    if (threadIdx.x == 0) out[0] = one;
    for (int c = static_cast<int>(threadIdx.x); c < rows.width; c += kRowThreads) out[1 + c] = factor * in[c];
    for (int i = static_cast<int>(threadIdx.x); i < rows.width * rows.width; i += kRowThreads) {
        const int a = i / rows.width, b = i % rows.width;
        if (b >= a) out[rows.place(a, b)] = (a == b ? kRootHalf : 1.0f) * (factor * in[a]) * (factor * in[b]);
    }
}

/// A channel counts in its own place, and in every product that it is in; in its square twice.
__global__ void featuresBackKernel(Rows rows, const float* x, const float* dPhi, Out dx) {
    waitForEarlier();
    const std::int64_t row = blockIdx.x;
    const float *in = x + row * rows.width, *d = dPhi + row * rows.features;
    for (int c = static_cast<int>(threadIdx.x); c < rows.width; c += kRowThreads) {
        float sum = d[1 + c];
        for (int other = 0; other < rows.width; ++other) {
            const float y = rows.factor * in[other];
            sum += other == c ? 2.0f * kRootHalf * d[rows.place(c, c)] * y
                              : d[rows.place(min(c, other), max(c, other))] * y;
        }
        dx.put(row * rows.width + c, rows.there(row) ? rows.factor * sum : 0.0f);
    }
}

Variable taylorFeatures(const Variable& x, const float* keep) {
    const Shape& s = x.shape();
    const std::int64_t width = s[3], features = 1 + width + width * (width + 1) / 2;
    const Rows rows{static_cast<int>(s[1]),
                    static_cast<int>(s[2]),
                    static_cast<int>(width),
                    features,
                    1.0f / std::sqrt(std::sqrt(static_cast<float>(width))),
                    keep};
    const auto count = static_cast<unsigned>(s.product(0, 3));
    const Variable phi = x.tape().result({s[0], s[1], s[2], features}, x.type(), x);
    launch(streamOf(phi), "taylor features", {count, kRowThreads}, featuresKernel, rows, x.value().onDeviceAs<float>(),
           phi.value().onDeviceAs<float>());
    x.tape().record(phi, [=] {
        launch(streamOf(phi), "taylor features, backwards", {count, kRowThreads}, featuresBackKernel, rows,
               x.value().onDeviceAs<float>(), phi.gradient().onDeviceAs<float>(), outOf(x));
    });
    return phi;
}

/// o = sums/weights by rows, 0 where there is no weight. sums [...,D], weights [...,1]
Variable divideRows(const Variable& sums, const Variable& weights) {
    const std::int64_t width = sums.shape()[-1], rows = weights.value().elements();
    const Variable o = sums.tape().result(sums.shape(), sums.type(), sums, weights);
    const float *in = sums.value().onDeviceAs<float>(), *by = weights.value().onDeviceAs<float>();
    float* out = o.value().onDeviceAs<float>();
    forEach(streamOf(o), rows * width, "divideRows",
            [=] __device__(std::int64_t i) { out[i] = by[i / width] != 0.0f ? in[i] / by[i / width] : 0.0f; });
    sums.tape().record(o, [=] {
        const float* dO = o.gradient().onDeviceAs<float>();
        const Out dSums = outOf(sums), dWeights = outOf(weights);
        if (dSums.data != nullptr)
            forEach(streamOf(o), rows * width, "divideRows, backwards", [=] __device__(std::int64_t i) {
                dSums.put(i, by[i / width] != 0.0f ? dO[i] / by[i / width] : 0.0f);
            });
        if (dWeights.data != nullptr)
            forEach(streamOf(o), rows, "divideRows, backwards", [=] __device__(std::int64_t row) {
                float along = 0;
                for (std::int64_t i = row * width; i < (row + 1) * width; ++i) along += dO[i] * out[i];
                dWeights.put(row, by[row] != 0.0f ? -along / by[row] : 0.0f);
            });
    });
    return o;
}

}  // namespace

Variable taylorAttention(const Variable& q, const Variable& k, const Variable& v,
                         const FeatureAttentionOptions& options) {
    const Shape& s = q.shape();
    std::vector<double> gammas;
    for (const double slope : options.slopes) gammas.push_back(std::exp(-slope));
    const DecayScanOptions scan{.causal = options.causal, .gammas = gammas};
    const Variable phiQ = taylorFeatures(q, nullptr),
                   phiK = taylorFeatures(k, options.keep.empty() ? nullptr : options.keep.data());
    const Variable sums = decayScan(phiQ, phiK, v, scan);
    // A root mean square without an ε, but for rows that are 0 altogether.
    if (options.normaliser == Normaliser::Rms)
        return cuda::normaliseRows(sums, RowNorm{std::sqrt(static_cast<double>(s[3])), 1e-30});
    const Tensor ones = q.tape().arena().tensor({s[0], s[1], s[2], 1});
    contextOf(q).fillNumbers(ones.onDeviceAs<float>(), 1.0f, ones.elements());
    return divideRows(sums, decayScan(phiQ, phiK, q.tape().constant(ones), scan));
}

}  // namespace linscope::cuda

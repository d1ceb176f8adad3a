#include "core/ops/short_convolution.h"

#include <algorithm>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {
namespace {

constexpr std::int64_t kTokens = 32;  // of a parallel range
// Partial sums of the weight's gradient: a fixed number of them, whatever the number of threads.
constexpr std::int64_t kParts = 16;

struct Places {
    std::int64_t length;  // T
    std::int64_t taps;    // K
    std::int64_t ahead;   // s
    const float* keep;    // [B,T] or null

    bool kept(std::int64_t row) const { return keep == nullptr || keep[row] != 0.0f; }
    /// The row that tap j of row `row` reads, or −1.
    std::int64_t read(std::int64_t row, std::int64_t j) const {
        const std::int64_t t = row % length + ahead - j;
        const std::int64_t other = row + ahead - j;
        return t >= 0 && t < length && kept(other) ? other : -1;
    }
};

template <typename T>
void addProduct(const T* a, const T* b, T* out, std::int64_t count) {
    for (std::int64_t c = 0; c < count; ++c) out[c] += a[c] * b[c];
}

template <typename T>
void forward(const Tensor& x, const Tensor& weight, const Tensor& y, const Places& places, std::int64_t rows) {
    const std::int64_t width = weight.shape()[1];
    parallelFor(rows, kTokens, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; ++row) {
            T* out = y.as<T>() + row * width;
            if (!places.kept(row)) {
                std::fill_n(out, width, T(0));
                continue;
            }
            std::copy_n(x.as<T>() + row * width, width, out);
            for (std::int64_t j = 0; j < places.taps; ++j)
                if (const std::int64_t other = places.read(row, j); other >= 0)
                    addProduct(x.as<T>() + other * width, weight.as<T>() + j * width, out, width);
        }
    });
}

/// dx_u = dy_u + Σ_j w_j ∘ dy_{u−s+j}: tap j of row u + j − s reads row u.
template <typename T>
void backwardInput(const Variable& x, const Tensor& weight, const Tensor& dy, const Places& places, std::int64_t rows) {
    const std::int64_t width = weight.shape()[1];
    const auto dx = x.gradientSink();
    parallelFor(rows, kTokens, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = first; row < last; ++row) {
            T* out = dx.tensor.as<T>() + row * width;
            if (!dx.accumulate) std::fill_n(out, width, T(0));
            if (!places.kept(row)) continue;
            const T* own = dy.as<T>() + row * width;
            for (std::int64_t c = 0; c < width; ++c) out[c] += own[c];
            for (std::int64_t j = 0; j < places.taps; ++j) {
                const std::int64_t shift = j - places.ahead, t = row % places.length + shift;
                if (t < 0 || t >= places.length || !places.kept(row + shift)) continue;
                addProduct(dy.as<T>() + (row + shift) * width, weight.as<T>() + j * width, out, width);
            }
        }
    });
}

/// dw_j = Σ_t dy_t ∘ x_{t+s−j}
template <typename T>
void backwardWeight(const Tensor& x, const Variable& weight, const Tensor& dy, const Tensor& partial,
                    const Places& places, std::int64_t rows) {
    const std::int64_t width = weight.shape()[1], size = places.taps * width;
    const std::int64_t perPart = (rows + kParts - 1) / kParts;
    parallelFor(kParts, 1, [&](std::int64_t firstPart, std::int64_t lastPart) {
        for (std::int64_t part = firstPart; part < lastPart; ++part) {
            T* sums = partial.as<T>() + part * size;
            std::fill_n(sums, size, T(0));
            for (std::int64_t row = part * perPart; row < std::min(rows, (part + 1) * perPart); ++row) {
                if (!places.kept(row)) continue;
                for (std::int64_t j = 0; j < places.taps; ++j)
                    if (const std::int64_t other = places.read(row, j); other >= 0)
                        addProduct(dy.as<T>() + row * width, x.as<T>() + other * width, sums + j * width, width);
            }
        }
    });
    const auto dw = weight.gradientSink();
    T* out = dw.tensor.as<T>();
    if (!dw.accumulate) std::fill_n(out, size, T(0));
    for (std::int64_t part = 0; part < kParts; ++part)
        for (std::int64_t i = 0; i < size; ++i) out[i] += partial.as<T>()[part * size + i];
}

}  // namespace

Variable shortConvolution(const Variable& x, const Variable& weight, const ConvolutionReach& reach) {
    constexpr std::string_view kWhere = "shortConvolution";
    const Shape &shape = x.shape(), &taps = weight.shape();
    require(shape.rank() >= 3 && taps.rank() == 2 && taps[0] >= 1 && shape.product(2, shape.rank()) == taps[1], kWhere,
            "x [B,T,…] with C numbers a token and weight [K,C] were required, but got {} and {}", shape.text(),
            taps.text());
    require(!reach.centred || taps[0] % 2 == 1, kWhere, "an odd number of taps to centre was required, but got {}",
            taps[0]);
    const std::int64_t rows = shape[0] * shape[1];
    require(reach.keep.empty() || static_cast<std::int64_t>(reach.keep.size()) == rows, kWhere,
            "a mask of {} places was required, but got {}", rows, reach.keep.size());
    if (x.value().onDevice()) return cuda::shortConvolution(x, weight, reach);
    const Places places{.length = shape[1],
                        .taps = taps[0],
                        .ahead = reach.centred ? (taps[0] - 1) / 2 : 0,
                        .keep = reach.keep.empty() ? nullptr : reach.keep.data()};
    Tape& tape = x.tape();
    const Variable y = tape.result(shape, x.type(), x, weight);
    dispatchReal(x.type(),
                 [&](auto zero) { forward<decltype(zero)>(x.value(), weight.value(), y.value(), places, rows); });
    tape.record(y, [=] {
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            if (x.needsGradient()) backwardInput<T>(x, weight.value(), y.gradient(), places, rows);
            if (!weight.needsGradient()) return;
            const Tensor partial =
                y.tape().arena().tensor({kParts, weight.shape()[0], weight.shape()[1]}, weight.type());
            backwardWeight<T>(x.value(), weight, y.gradient(), partial, places, rows);
        });
    });
    return y;
}

void convolveToken(std::span<float> x, std::span<const float> weight, std::span<float> recent) {
    const std::size_t width = x.size();
    require(width > 0 && weight.size() == recent.size() + width && recent.size() % width == 0, "convolveToken",
            "x [C], weight [K,C] and recent [K−1,C] were required, but got {}, {} and {} numbers", width, weight.size(),
            recent.size());
    const std::size_t before = recent.size() / width;
    for (std::size_t c = 0; c < width; ++c) {
        const float in = x[c];
        float sum = in;  // in the order of shortConvolution()
        sum += in * weight[c];
        for (std::size_t j = 1; j <= before; ++j) sum += recent[(j - 1) * width + c] * weight[j * width + c];
        for (std::size_t j = before; j > 1; --j) recent[(j - 1) * width + c] = recent[(j - 2) * width + c];
        if (before > 0) recent[c] = in;
        x[c] = sum;
    }
}

}  // namespace linscope

#include "core/attention/linear/elementwise_features.h"

#include <Eigen/Core>
#include <cmath>
#include <numbers>

#include "core/attention/projected_features.h"
#include "core/ops/exponential.h"

namespace linscope {
namespace {

template <typename T>
using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRow = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

/// elu(x) + 1 = max(x, 0) + e^min(x, 0): without a branch, so that it is computed in vectors.
template <typename T>
void eluRow(const T* x, std::int64_t width, T* phi) {
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) {
        // Not std::min, whose references keep the loop scalar; NaN goes below and stays.
        const T below = x[d] > T(0) ? T(0) : x[d], above = x[d] > T(0) ? x[d] : T(0);
        phi[d] = above + exp2Of(below * T(kLog2e));
    }
}

/// Features of one token y = x·factor [D]: the first places hold 1 and y, then come the products, for each a those
/// with b ≥ a.
template <typename T>
void taylorRow(const T* x, std::int64_t width, T* phi) {
    const T factor = T(1) / std::sqrt(std::sqrt(T(width)));
    phi[0] = 1;
    Row<T> y(phi + 1, width);
    y = ConstRow<T>(x, width) * factor;
    T* products = phi + 1 + width;
    for (std::int64_t a = 0; a < width; ++a) {
        Row<T>(products, width - a) = y[a] * y.tail(width - a);
        *products *= T(std::numbers::sqrt2 / 2);
        products += width - a;
    }
}

/// dx (+)= the gradient of one token.
template <typename T>
void taylorRowBack(const T* phi, T* dPhi, std::int64_t width, bool add, T* dx) {
    const T factor = T(1) / std::sqrt(std::sqrt(T(width)));
    const ConstRow<T> y(phi + 1, width);
    Row<T> dy(dPhi + 1, width);
    T* products = dPhi + 1 + width;
    for (std::int64_t a = 0; a < width; ++a) {
        *products *= T(std::numbers::sqrt2 / 2);
        const Row<T> d(products, width - a);
        const T along = (d * y.tail(width - a)).sum();
        dy.tail(width - a) += y[a] * d;  // a square counts here once and in `along` once
        dy[a] += along;
        products += width - a;
    }
    Row<T> out(dx, width);
    if (add)
        out += factor * dy;
    else
        out = factor * dy;
}

}  // namespace

ElementwiseFeatures::ElementwiseFeatures(Elementwise kind, std::int64_t width)
    : FeatureMapOf(kind == Elementwise::Taylor ? 1 + width + width * (width + 1) / 2 : width, false, false),
      m_kind(kind) {}

FeatureRecipe ElementwiseFeatures::recipe() const {
    using Kind = FeatureRecipe::Kind;
    return {.kind = m_kind == Elementwise::Elu ? Kind::Elu : m_kind == Elementwise::Relu ? Kind::Relu : Kind::None};
}

template <typename T>
void ElementwiseFeatures::map(const FeatureBlock<T>& b) const {
    for (std::int64_t i = 0; i < b.rows; ++i) {
        const ConstRow<T> x(b.x + i * b.stride, b.width);
        Row<T> phi(b.phi + i * features(), b.width);
        switch (m_kind) {
            case Elementwise::Elu:
                eluRow(b.x + i * b.stride, b.width, b.phi + i * features());
                break;
            case Elementwise::Relu:
                phi = x.max(T(0)) + T(kReluFloor);
                break;
            case Elementwise::Taylor:
                taylorRow(b.x + i * b.stride, b.width, b.phi + i * features());
                break;
        }
    }
}

template <typename T>
void ElementwiseFeatures::mapBack(const FeatureBlock<T>& b) const {
    for (std::int64_t i = 0; i < b.rows; ++i) {
        const ConstRow<T> x(b.x + i * b.stride, b.width), phi(b.phi + i * features(), b.width);
        Row<T> d(b.dPhi + i * features(), b.width), dx(b.dx + i * b.stride, b.width);
        switch (m_kind) {
            case Elementwise::Elu:
                d *= phi.min(T(1));  // eˣ below 0, 1 above
                break;
            case Elementwise::Relu:
                d = (x > T(0)).select(d, T(0));
                break;
            case Elementwise::Taylor:
                taylorRowBack(b.phi + i * features(), b.dPhi + i * features(), b.width, b.add, b.dx + i * b.stride);
                continue;
        }
        if (b.add)
            dx += d;
        else
            dx = d;
    }
}

template void ElementwiseFeatures::map(const FeatureBlock<float>&) const;
template void ElementwiseFeatures::map(const FeatureBlock<double>&) const;
template void ElementwiseFeatures::mapBack(const FeatureBlock<float>&) const;
template void ElementwiseFeatures::mapBack(const FeatureBlock<double>&) const;

}  // namespace linscope

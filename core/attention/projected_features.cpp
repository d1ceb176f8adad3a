#include "core/attention/projected_features.h"

#include <Eigen/Core>

#include "core/ops/gemm.h"

namespace linscope {
namespace {

bool paired(Projected kind) {
    return kind == Projected::Hyperbolic || kind == Projected::Trigonometric;
}

template <typename T>
using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRow = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

}  // namespace

ProjectedFeatures::ProjectedFeatures(Projected kind, std::vector<Parameter*> projections, double scale, double norm)
    : FeatureMapOf(projections[0]->value.shape()[0] * (paired(kind) ? 2 : 1), kind != Projected::Relu, true),
      m_kind(kind),
      m_projections(std::move(projections)),
      m_scale(scale),
      m_norm(norm) {}

FeatureRecipe ProjectedFeatures::recipe() const {
    using Kind = FeatureRecipe::Kind;
    const Kind kind = m_kind == Projected::Positive        ? Kind::Positive
                      : m_kind == Projected::Hyperbolic    ? Kind::Hyperbolic
                      : m_kind == Projected::Trigonometric ? Kind::Trigonometric
                                                           : Kind::ProjectedRelu;
    return {kind, m_scale, m_norm, m_projections};
}

template <typename T>
void ProjectedFeatures::map(const FeatureBlock<T>& b) const {
    const std::int64_t P = rows(), M = features();
    multiply({.m = b.rows,
              .n = P,
              .k = b.width,
              .transposeB = true,
              .lda = b.stride,
              .ldb = b.width,
              .ldc = M,
              .alpha = m_scale},
             b.x, m_projections[static_cast<std::size_t>(b.head)]->value.as<T>(), b.phi);
    for (std::int64_t i = 0; i < b.rows; ++i) {
        Row<T> u(b.phi + i * M, P);
        Row<T> second(b.phi + i * M + P, paired(m_kind) ? P : 0);
        T logWeight = 0;
        switch (m_kind) {
            case Projected::Positive:
                logWeight = u.maxCoeff();
                u = (u - logWeight).exp();
                break;
            case Projected::Hyperbolic:
                logWeight = u.abs().maxCoeff();
                second = (-u - logWeight).exp();
                u = (u - logWeight).exp();
                break;
            case Projected::Trigonometric:
                second = u.sin();
                u = u.cos();
                break;
            case Projected::Relu:
                u = u.max(T(0)) + T(kReluFloor);
                break;
        }
        if (b.logWeights == nullptr || !weighted()) continue;
        if (m_norm != 0)
            logWeight += T(m_norm * m_scale * m_scale) * ConstRow<T>(b.x + i * b.stride, b.width).square().sum();
        b.logWeights[i] = logWeight;
    }
}

template <typename T>
void ProjectedFeatures::mapBack(const FeatureBlock<T>& b) const {
    const std::int64_t P = rows(), M = features();
    const T* w = m_projections[static_cast<std::size_t>(b.head)]->value.as<T>();
    for (std::int64_t i = 0; i < b.rows; ++i) {
        // du takes the place of dφ's first half.
        const Row<T> phi(b.phi + i * M, P), second(b.phi + i * M + P, paired(m_kind) ? P : 0);
        Row<T> du(b.dPhi + i * M, P), dSecond(b.dPhi + i * M + P, paired(m_kind) ? P : 0);
        T flow = 0;  // dL/d(log weight) = Σ φ·dφ
        switch (m_kind) {
            case Projected::Positive:
                du *= phi;
                flow = du.sum();
                break;
            case Projected::Hyperbolic:
                du *= phi;
                dSecond *= second;
                flow = du.sum() + dSecond.sum();
                du -= dSecond;
                break;
            case Projected::Trigonometric:
                flow = (du * phi).sum() + (dSecond * second).sum();
                du = dSecond * phi - du * second;
                break;
            case Projected::Relu:
                du = (phi > T(kReluFloor)).select(du, T(0));
                break;
        }
        // The squared norm is in the log weight of a key alone.
        const T along = b.keys ? flow * T(2 * m_norm * m_scale * m_scale) : T(0);
        const ConstRow<T> x(b.x + i * b.stride, b.width);
        Row<T> dx(b.dx + i * b.stride, b.width);
        if (b.add)
            dx += along * x;
        else
            dx = along * x;
    }
    multiply(
        {.m = b.rows, .n = b.width, .k = P, .lda = M, .ldb = b.width, .ldc = b.stride, .alpha = m_scale, .beta = 1},
        b.dPhi, w, b.dx);
    if (b.parameterGradient != nullptr)
        multiply({.m = P,
                  .n = b.width,
                  .k = b.rows,
                  .transposeA = true,
                  .lda = M,
                  .ldb = b.stride,
                  .ldc = b.width,
                  .alpha = m_scale,
                  .beta = 1},
                 b.dPhi, b.x, b.parameterGradient);
}

template void ProjectedFeatures::map(const FeatureBlock<float>&) const;
template void ProjectedFeatures::map(const FeatureBlock<double>&) const;
template void ProjectedFeatures::mapBack(const FeatureBlock<float>&) const;
template void ProjectedFeatures::mapBack(const FeatureBlock<double>&) const;

}  // namespace linscope

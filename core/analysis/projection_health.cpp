#include "core/analysis/projection_health.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr double kGreatestCondition = 8.4e6;  // 1/ε of single precision: beyond it σ_K is rounding

using Wide = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Wide toDouble(std::span<const float> values, std::int64_t rows, std::int64_t cols) {
    return Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(values.data(), rows,
                                                                                                   cols)
        .cast<double>();
}

struct Decomposition {
    Eigen::VectorXd singular;   // descending
    Eigen::MatrixXd whitening;  // U·diag(1/σ): (whiteningᵀ·W) has orthonormal rows
};

// From the Gram matrix in double: σ is exact to κ² ε_double, far beyond the cap on κ.
Decomposition decompose(const Wide& w) {
    const Eigen::MatrixXd gram = w * w.transpose();
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram);
    Decomposition d;
    d.singular = solver.eigenvalues().reverse().cwiseMax(0.0).cwiseSqrt();
    const double least = std::max(d.singular[0], std::numeric_limits<double>::min()) / kGreatestCondition;
    d.whitening = solver.eigenvectors().rowwise().reverse() * d.singular.cwiseMax(least).cwiseInverse().asDiagonal();
    return d;
}

// Descending.
Eigen::VectorXd singularValues(const Eigen::MatrixXd& m) {
    const Eigen::MatrixXd gram = m * m.transpose();
    return Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(gram, Eigen::EigenvaluesOnly)
        .eigenvalues()
        .reverse()
        .cwiseMax(0.0)
        .cwiseSqrt();
}

double effectiveRankOf(const Eigen::VectorXd& singular) {
    const double sum = singular.sum();
    double entropy = 0;
    for (double s : singular)
        if (s > 0) entropy -= s / sum * std::log(s / sum);
    return std::exp(entropy);
}

ProjectionHealth notFinite(std::int64_t slots) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    ProjectionHealth h;
    h.spectrum.assign(static_cast<std::size_t>(slots), std::numeric_limits<float>::quiet_NaN());
    h.principalAngles = h.spectrum;
    h.conditionNumber = h.stableRank = h.effectiveRank = h.frobeniusDrift = h.scale = h.cosine = h.subspaceOverlap =
        nan;
    return h;
}

}  // namespace

ProjectionHealth projectionHealth(std::span<const float> w, std::span<const float> w0, std::int64_t slots,
                                  std::int64_t length) {
    require(slots >= 1 && length >= 1 && static_cast<std::int64_t>(w.size()) == slots * length && w.size() == w0.size(),
            "projection health", "two matrices [K,T], but got K {}, T {}, {} and {} values", slots, length, w.size(),
            w0.size());
    Wide now = toDouble(w, slots, length), first = toDouble(w0, slots, length);
    if (slots > length) {
        now = Wide(now.transpose());
        first = Wide(first.transpose());
        slots = length;
    }
    if (!now.allFinite() || !first.allFinite()) return notFinite(slots);

    const Decomposition a = decompose(now), b = decompose(first);
    ProjectionHealth h;
    h.spectrum.assign(a.singular.begin(), a.singular.end());
    const double norm = now.norm(), norm0 = first.norm(), inner = now.cwiseProduct(first).sum();
    h.conditionNumber = std::min(a.singular[0] / a.singular[slots - 1], kGreatestCondition);
    if (std::isnan(h.conditionNumber)) h.conditionNumber = kGreatestCondition;  // 0/0: the zero matrix
    h.stableRank = norm * norm / (a.singular[0] * a.singular[0]);
    h.effectiveRank = effectiveRankOf(a.singular);
    h.frobeniusDrift = (now - first).norm() / norm0;
    h.scale = inner / (norm0 * norm0);
    h.cosine = inner / (norm * norm0);

    // cos θ: singular values of Q_AᵀQ_B; sin θ of the part of B outside A's row space (Björck & Golub 1973),
    // since the arc cosine loses small angles to rounding.
    const Wide qa = a.whitening.transpose() * now, qb = b.whitening.transpose() * first;
    const Eigen::MatrixXd overlap = qb * qa.transpose();
    const Eigen::VectorXd cosines = singularValues(overlap);
    const Wide outside = qb - overlap * qa;
    const Eigen::VectorXd sines = singularValues(outside);  // descending: the last belongs to the smallest angle
    for (std::int64_t i = 0; i < slots; ++i) {
        const double c = std::min(1.0, cosines[i]), s = std::min(1.0, sines[slots - 1 - i]);
        h.principalAngles.push_back(static_cast<float>(c * c > 0.5 ? std::asin(s) : std::acos(c)));
        h.subspaceOverlap += c * c / static_cast<double>(slots);
    }
    return h;
}

RandomBaseline randomBaseline(std::int64_t slots, std::int64_t length) {
    require(slots >= 1 && length >= 1, "random baseline", "K ≥ 1 and T ≥ 1, but got K {}, T {}", slots, length);
    if (slots > length) std::swap(slots, length);
    const double k = static_cast<double>(slots), t = static_cast<double>(length);
    const double gamma = k / t, root = std::sqrt(gamma);
    RandomBaseline b;
    b.conditionNumber = std::min((1 + root) / std::max(1 - root, 1 / kGreatestCondition), kGreatestCondition);
    b.largestSingular = std::sqrt(t) + std::sqrt(k);
    b.smallestSingular = std::sqrt(t) - std::sqrt(k);
    b.stableRank = k * t / (b.largestSingular * b.largestSingular);
    b.overlap = gamma;
    // Effective rank of the Marchenko–Pastur law of σ² /T on [(1−√γ)², (1+√γ)²] with density
    // √((λ₊−λ)(λ−λ₋))/(2πγλ): with x = cos φ substituted the integrand is smooth, the midpoint rule exact enough.
    constexpr int kPoints = 2000;
    double mean = 0, meanLog = 0, total = 0;
    for (int i = 0; i < kPoints; ++i) {
        const double angle = std::numbers::pi * (i + 0.5) / kPoints;
        const double lambda = 1 + gamma + 2 * root * std::cos(angle);
        const double weight = std::sin(angle) * std::sin(angle) / std::max(lambda, 1e-300);
        const double sigma = std::sqrt(std::max(lambda, 0.0));
        total += weight;
        mean += weight * sigma;
        meanLog += sigma > 0 ? weight * sigma * std::log(sigma) : 0.0;
    }
    mean /= total;
    meanLog /= total;
    // p_i = σ_i/(K·mean): entropy = ln(K·mean) − E[σ ln σ]/mean
    b.effectiveRank = std::exp(std::log(k * mean) - meanLog / mean);
    return b;
}

}  // namespace linscope

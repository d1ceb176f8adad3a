#include "core/attention/performer/draw.h"

#include <Eigen/QR>
#include <cmath>

namespace linscope {
namespace {

/// D orthonormal rows, uniform over the orthogonal group.
Eigen::MatrixXd rotation(std::int64_t width, Random& random) {
    Eigen::MatrixXd gaussian(width, width);
    for (double& x : gaussian.reshaped()) x = random.normal();
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(gaussian);
    Eigen::MatrixXd q = qr.householderQ();
    for (std::int64_t j = 0; j < width; ++j)
        if (qr.matrixQR()(j, j) < 0) q.col(j) = -q.col(j);
    return q;
}

/// Length of a vector of N(0, I).
double chi(std::int64_t width, Random& random) {
    double squares = 0;
    for (std::int64_t j = 0; j < width; ++j) {
        const double x = random.normal();
        squares += x * x;
    }
    return std::sqrt(squares);
}

}  // namespace

std::vector<double> drawFeatures(Draw draw, std::int64_t features, std::int64_t width, Random& random) {
    std::vector<double> omega(static_cast<std::size_t>(features * width));
    if (draw == Draw::Iid) {
        for (double& x : omega) x = random.normal();
    } else {
        for (std::int64_t begin = 0; begin < features; begin += width) {
            const Eigen::MatrixXd rows = rotation(width, random);
            for (std::int64_t i = begin; i < std::min(features, begin + width); ++i) {
                const double length =
                    draw == Draw::Orthogonal ? chi(width, random) : std::sqrt(static_cast<double>(width));
                for (std::int64_t j = 0; j < width; ++j)
                    omega[static_cast<std::size_t>(i * width + j)] = length * rows(i - begin, j);
            }
        }
    }
    for (double& x : omega) x = static_cast<double>(static_cast<float>(x));
    return omega;
}

}  // namespace linscope

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/random.h"

namespace linscope {

/// How the directions ω of random features are drawn.
enum class Draw {
    Iid,          ///< N(0, I)
    Orthogonal,   ///< blocks of D orthogonal rows, uniform over rotations, with the norms of N(0, I) rows
    Regularised,  ///< the same with all norms √D: biased, with less variance (Choromanski et al. 2020, §3)
};

/// ω [M,D]. Orthogonal blocks are the Q of a Gaussian block's QR decomposition with the signs of diag R taken in,
/// without which Q is not uniform (Haar) (Mezzadri 2007, arXiv:math-ph/0609050, §5). Each row is then scaled by a
/// length of its own, χ(D) or √D; M need not be a multiple of D. Values are of single precision.
std::vector<double> drawFeatures(Draw draw, std::int64_t features, std::int64_t width, Random& random);

}  // namespace linscope

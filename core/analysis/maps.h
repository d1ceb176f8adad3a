#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/train/snapshot.h"

namespace linscope {

/// A dense row-major matrix of plain numbers.
struct Matrix {
    std::int64_t rows = 0, cols = 0;
    std::vector<float> values;  // [rows,cols]
    float at(std::int64_t row, std::int64_t col) const { return values[row * cols + col]; }
};

/// The maps of a head.
enum class MapKind {
    Exact,       ///< P = softmax(QKᵀ/√D) [T,T]
    Compressed,  ///< the mechanism's own map: for Linformer P̄ = softmax(Q(EK)ᵀ/√D) [T,K]
    Lifted,      ///< what acts on the tokens' values: for Linformer L = P̄F [T,T], signed, rows do not sum to 1
    Difference,  ///< L − P [T,T]
};

std::string_view mapName(MapKind kind);  ///< "exact", "compressed", "lifted", "difference"

/// A map of one head, computed from the snapshot. `maxSide` bounds rows and columns of the answer:
/// larger maps are pooled by blocks, row block by row block, so that n×n is never stored. Throws Error
/// when the mechanism has no such map ("full" has only the exact one; one whose outputs are divided by their own size
/// has no lifted one) or an index is out of range.
struct MapRequest {
    MapKind kind = MapKind::Exact;
    int layer = 0, head = 0, sample = 0;
    std::int64_t maxSide = 4096;
};
struct AttentionMap {
    Matrix matrix;
    std::int64_t rowBlock = 1, colBlock = 1;  ///< tokens (or slots) per cell; 1 = not pooled
    std::string pooling;                      ///< "none", "max" (exact, compressed) or "abs-max" (signed maps)
    bool isSigned = false;
    std::string rowAxis, colAxis;  ///< "query token", "key token", "slot"
};
/// Once a stop is asked for it throws Error in place of an answer.
AttentionMap attentionMap(const Snapshot& snapshot, const MapRequest& request, const std::stop_token& stop = {});
/// The answer of attentionMap() without values, sides and pooling: what its numbers and axes are.
AttentionMap mapOutline(const Snapshot& snapshot, const MapRequest& request);
/// Sides, blocks and pooling of an outline whose map has `rows` and `cols` before it is pooled.
void setSides(AttentionMap& map, std::int64_t rows, std::int64_t cols, std::int64_t maxSide);
bool hasMap(const Snapshot& snapshot, MapKind kind);
/// The map by which the mechanism mixes the tokens' values, whether it has one or not: exact where it is exact
/// attention, else lifted.
MapKind ownMap(const Snapshot& snapshot);
/// Why it has none, a sentence; empty where it has one.
std::string mapAbsence(const Snapshot& snapshot, MapKind kind);

/// How close the mechanism is to exact attention from the same Q, K, V , in one sample.
struct HeadFidelity {
    double outputError = 0;   ///< ε = ‖O−Õ‖_F/‖O‖_F
    double mapError = 0;      ///< ‖P−L‖_F/‖P‖_F
    double rankBound = 0;     ///< Eckart–Young: (Σ_{i>K} σᵢ(P)²)^½/‖P‖_F, the best any rank-K map can do;
                              ///< NaN where the map does not go through K slots of the whole sequence, and for more
                              ///< than kLongestRanked tokens
    double negativeMass = 0;  ///< mean over rows of Σⱼ|min(L_ij, 0)|
    double rowSumError = 0;   ///< mean over rows of |Σⱼ L_ij − 1|
    /// Mean over rows of the divergences KL(P‖L), infinite where L leaves out a key that P sees, and of Jensen and
    /// Shannon, at most 1, in bits. NaN where L is signed or its rows do not sum to 1: there is none.
    double klDivergence = 0, jsDivergence = 0;
    double topKeyRecall = 0;  ///< share of each query's 16 strongest keys that the map sees (core/analysis/recall.h);
                              ///< NaN where it sees all
};
/// Tokens; the time of singular values grows with their cube, and takes about a second for so many.
inline constexpr std::int64_t kLongestRanked = 1024;
/// Throws Error where there is no lifted map, and once a stop is asked for.
HeadFidelity headFidelity(const Snapshot& snapshot, int layer, int head, int sample, const std::stop_token& stop = {});

}  // namespace linscope

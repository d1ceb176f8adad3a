#pragma once

#include <cstdint>

namespace linscope {

class DeviceContext;

/// A part of one head's map on the CUDA device. With the head's keys it is of the exact map P = softmax(QKᵀ/√D + what
/// distance adds), with keys compressed to slots (EK [K,D]) of Linformer's P̄ = softmax(Q(EK)ᵀ/√D) (arXiv 2006.04768,
/// §4). Matrices begin at multiples of 256 bytes, as an arena's do.
struct MapTile {
    const float* q = nullptr;           ///< [rows,D] on the device: the tile's own rows
    const float* keys = nullptr;        ///< [count,D] on the device: the tile's own columns
    std::int64_t rows = 0, count = 0;   ///< queries, keys or slots
    std::int64_t headWidth = 0;         ///< D
    std::int64_t firstQuery = 0;        ///< place of the tile's first row in the sequence
    std::int64_t firstKey = 0;          ///< place of its first column
    bool causal = false;                ///< query i sees keys 0 … i only; never with slots
    bool others = false;                ///< a query sees its own key only where it is causal and the first
    const float* ofDistance = nullptr;  ///< adds ofDistance[j − i], on the device, from −(T−1) to T−1; or null
    const float* sums = nullptr;        ///< [rows,2] of rowSums(); null: the tile's keys are all that there are
};

namespace cuda {

/// Writes the tile into `map` [rows,count] on the device, in the context's stream: scores by a product of matrices in
/// the context's precision, and the softmax over them in single precision.
void mapTile(DeviceContext& context, const MapTile& tile, float* map);

/// What a tile of some of the keys has to know of all: with a tile of all keys, each row's greatest score and the sum
/// of the exponentials of what the others are below it, into `sums` [rows,2]. Scores are on loan in `scores`
/// [rows,count].
void rowSums(DeviceContext& context, const MapTile& tile, float* scores, float* sums);

}  // namespace cuda
}  // namespace linscope

#pragma once

#include <cstdint>

namespace linscope {

class DeviceContext;

/// Rows of one head's map on the CUDA device. With the head's keys it is the exact map P = softmax(QKᵀ/√D), with keys
/// compressed to slots (EK [K,D]) Linformer's P̄ = softmax(Q(EK)ᵀ/√D) (arXiv 2006.04768, §4).
struct MapTile {
    const float* q = nullptr;          ///< [rows,D] on the device: the tile's own rows
    const float* keys = nullptr;       ///< [count,D] on the device
    std::int64_t rows = 0, count = 0;  ///< queries, keys or slots
    std::int64_t headWidth = 0;        ///< D
    std::int64_t firstQuery = 0;       ///< place of the tile's first row in the sequence
    bool causal = false;               ///< query i sees keys 0 … i only; never with slots
};

namespace cuda {

/// Writes the tile into `map` [rows,count] on the device, in the context's stream, in single precision.
void mapTile(DeviceContext& context, const MapTile& tile, float* map);

}  // namespace cuda
}  // namespace linscope

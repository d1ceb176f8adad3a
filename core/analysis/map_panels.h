#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

namespace linscope {

class DeviceContext;

/// Columns of the map that a mechanism implies, o = M·v, as one pass of it finds them on the CUDA device: sequence b of
/// a batch has in place d of head `head` the value 1 at token first + b·D + d alone, and all its sequences have the
/// same queries and keys. So o[b, t, head, d] is M's row t in that column.
struct MapPanel {
    std::int64_t first = 0, columns = 0;  ///< of the map; at most B·D
    std::int64_t head = 0;
};

/// A part of a map that is pooled, where it lies and what it is pooled to.
struct PooledTile {
    const float* values = nullptr;            ///< [rows,cols] on the device
    std::int64_t rows = 0, cols = 0;          ///< of the part
    std::int64_t firstRow = 0, firstCol = 0;  ///< its place in the whole map
    std::int64_t rowBlock = 1, colBlock = 1;  ///< of the map, per cell
    std::int64_t mapCols = 0;                 ///< cells in a row of the pooled map
    bool isSigned = false;                    ///< the value farthest from 0 wins, else the greatest; a NaN always does
};

namespace cuda {

/// Puts the panel's ones into v [B,T,H,D], which is 0.
void setUnitValues(DeviceContext& context, const MapPanel& panel, const Tensor& v);

/// The panel's columns from o [B,T,H,D] into `out`, whose rows are `stride` numbers apart; with `difference` less what
/// lies there.
void takeColumns(DeviceContext& context, const MapPanel& panel, const Tensor& o, bool difference, float* out,
                 std::int64_t stride);

/// Pools the part into `map`. Parts of a cell may come one after another: what has come before is in `map`, once the
/// part with the cell's first row and column has been there.
void poolTile(DeviceContext& context, const PooledTile& tile, float* map);

}  // namespace cuda
}  // namespace linscope

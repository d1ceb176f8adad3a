#include "core/attention/linformer/linformer_maps.h"

#include <Eigen/Core>

#include "core/analysis/softmax_rows.h"
#include "core/base/error.h"

namespace linscope {
namespace {

const Projection& required(const Projection* projection, const char* name) {
    require(projection != nullptr, "linformer map", "the projection {} in the snapshot, but there is none", name);
    return *projection;
}

}  // namespace

Matrix linformerCompressedMap(const HeadView& head, std::int64_t rowBegin, std::int64_t rowEnd) {
    const Projection& e = required(head.e, "E");
    const ConstMatrixMap projection(e.values.data(), e.slots, e.length);
    const ConstMatrixMap k(head.k.data(), head.length, head.headWidth);
    const RowMajorMatrix slots = projection.leftCols(head.length) * k;
    return softmaxRows(head, {slots.data(), static_cast<std::size_t>(slots.size())}, e.slots, rowBegin, rowEnd);
}

Matrix linformerLiftedMap(const HeadView& head, std::int64_t rowBegin, std::int64_t rowEnd) {
    const Matrix compressed = linformerCompressedMap(head, rowBegin, rowEnd);
    const Projection& f = required(head.f, "F");
    Matrix lifted{compressed.rows, head.length, {}};
    lifted.values.resize(static_cast<std::size_t>(lifted.rows * lifted.cols));
    MatrixMap(lifted.values.data(), lifted.rows, lifted.cols).noalias() =
        ConstMatrixMap(compressed.values.data(), compressed.rows, compressed.cols) *
        ConstMatrixMap(f.values.data(), f.slots, f.length).leftCols(head.length);
    return lifted;
}

}  // namespace linscope

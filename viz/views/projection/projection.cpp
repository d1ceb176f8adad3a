#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "viz/views/view.h"

namespace linscope::viz {
namespace {

// The value of largest magnitude of each block of columns, with its sign.
Matrix poolColumns(const Projection& projection, std::int64_t block) {
    const Matrix whole{projection.slots, projection.length, projection.values};
    Matrix result{projection.slots, (projection.length + block - 1) / block, {}};
    result.values.reserve(std::size_t(result.rows * result.cols));
    for (std::int64_t row = 0; row < result.rows; ++row)
        for (std::int64_t col = 0; col < result.cols; ++col)
            result.values.push_back(
                poolRange(whole, {row, row + 1, col * block, std::min(projection.length, (col + 1) * block)},
                          Pooling::AbsMax)
                    .value);
    return result;
}

std::string owner(const Projection& projection) {
    std::string text = projection.layer < 0 ? "all layers" : fmt::format("layer {}", projection.layer);
    return text + (projection.head < 0 ? ", all heads" : fmt::format(", head {}", projection.head));
}

ViewPicture make(const Snapshot& snapshot, const ViewSelection& selection) {
    const Projection* found = snapshot.projection(selection.projection, selection.layer, selection.head);
    require(found != nullptr, "view projection", "a projection '{}' of layer {}, head {} is required, but {} has none",
            selection.projection, selection.layer, selection.head, snapshot.mechanism);
    require(selection.maxSide >= 1, "view projection", "maxSide must be at least 1, but it is {}", selection.maxSide);
    const std::int64_t block = (found->length + selection.maxSide - 1) / selection.maxSide;
    ViewPicture picture;
    if (selection.source && block == 1) {
        ComputedMap whole = selection.source->projection(*found);
        picture.matrix = std::make_shared<const Matrix>(std::move(whole.map.matrix));
        picture.cells = std::move(whole.cells);
        picture.route = std::move(whole.route);
    } else {
        picture.matrix = std::make_shared<const Matrix>(poolColumns(*found, block));
    }
    picture.title = "Projection " + found->name;
    picture.detail = owner(*found);
    picture.rowAxis = "slot";
    picture.colAxis = "token position";
    picture.valueName = "projection weight";
    picture.colBlock = block;
    picture.pooled = block > 1 ? "abs-max" : "none";
    picture.pooling = Pooling::AbsMax;
    picture.scale = ScaleKind::Diverging;
    return picture;
}

}  // namespace

ViewInfo projectionView() {
    return {
        .name = "projection",
        .title = "Projection E or F",
        .summary = "The matrix that compresses the sequence: how much each token contributes to each slot.",
        .available = [](const Snapshot& snapshot) { return !snapshot.projections.empty(); },
        .make = make,
    };
}

}  // namespace linscope::viz

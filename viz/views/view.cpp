#include "viz/views/view.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace linscope::viz {

const ViewInfo& findView(std::string_view name) {
    std::string names;
    for (const ViewInfo& view : views()) {
        if (view.name == name) return view;
        names += (names.empty() ? "" : ", ") + view.name;
    }
    fail("view", "one of {} is required, but '{}' was given", names, name);
}

ViewPicture mapPicture(const Snapshot& snapshot, MapKind kind, const ViewSelection& selection) {
    const MapRequest request{.kind = kind,
                             .layer = selection.layer,
                             .head = selection.head,
                             .sample = selection.sample,
                             .maxSide = selection.maxSide};
    ComputedMap computed =
        selection.source ? selection.source->map(snapshot, request) : ComputedMap(attentionMap(snapshot, request));
    AttentionMap& map = computed.map;
    ViewPicture picture;
    picture.cells = std::move(computed.cells);
    picture.route = std::move(computed.route);
    picture.detail = fmt::format("{}, layer {}, head {}, sample {}", snapshot.mechanism, selection.layer,
                                 selection.head, selection.sample);
    picture.rowAxis = std::move(map.rowAxis);
    picture.colAxis = std::move(map.colAxis);
    picture.rowBlock = map.rowBlock;
    picture.colBlock = map.colBlock;
    picture.pooled = std::move(map.pooling);
    picture.pooling = map.isSigned ? Pooling::AbsMax : Pooling::Max;
    picture.scale = map.isSigned ? ScaleKind::Diverging : ScaleKind::Log;
    picture.valueName = "attention weight";
    picture.matrix = std::make_shared<const Matrix>(std::move(map.matrix));
    return picture;
}

}  // namespace linscope::viz

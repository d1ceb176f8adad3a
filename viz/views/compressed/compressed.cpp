#include "viz/views/view.h"

namespace linscope::viz {

ViewInfo compressedView() {
    return {
        .name = "compressed",
        .title = "Compressed map",
        .summary = "The mechanism's own map, each query against the slots: for Linformer P̄ = softmax(Q(EK)ᵀ/√D).",
        .available = [](const Snapshot& snapshot) { return hasMap(snapshot, MapKind::Compressed); },
        .make =
            [](const Snapshot& snapshot, const ViewSelection& selection) {
                ViewPicture picture = mapPicture(snapshot, MapKind::Compressed, selection);
                picture.title = "Compressed map P̄ = softmax(Q(EK)ᵀ/√D)";
                return picture;
            },
    };
}

}  // namespace linscope::viz

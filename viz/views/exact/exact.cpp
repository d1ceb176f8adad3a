#include "viz/views/view.h"

namespace linscope::viz {

ViewInfo exactView() {
    return {
        .name = "exact",
        .title = "Exact map P",
        .summary = "What exact attention would weigh: P = softmax(QKᵀ/√D), every query against every key.",
        .available = [](const Snapshot& snapshot) { return hasMap(snapshot, MapKind::Exact); },
        .make =
            [](const Snapshot& snapshot, const ViewSelection& selection) {
                ViewPicture picture = mapPicture(snapshot, MapKind::Exact, selection);
                picture.title = "Exact attention map P = softmax(QKᵀ/√D)";
                return picture;
            },
    };
}

}  // namespace linscope::viz

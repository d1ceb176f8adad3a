#include "viz/views/view.h"

namespace linscope::viz {

ViewInfo liftedView() {
    return {
        .name = "lifted",
        .title = "Lifted map L",
        .summary =
            "What the mechanism does to the tokens' values, comparable with the exact map: for Linformer L = P̄F, "
            "signed.",
        .available = [](const Snapshot& snapshot) { return hasMap(snapshot, MapKind::Lifted); },
        .make =
            [](const Snapshot& snapshot, const ViewSelection& selection) {
                ViewPicture picture = mapPicture(snapshot, MapKind::Lifted, selection);
                picture.title = hasMap(snapshot, MapKind::Compressed) ? "Lifted map L = P̄F" : "Implied map L";
                picture.valueName = "weight on the token's value";
                return picture;
            },
    };
}

}  // namespace linscope::viz

#include "viz/views/view.h"

namespace linscope::viz {

ViewInfo differenceView() {
    return {
        .name = "difference",
        .title = "Difference L − P",
        .summary = "Where the mechanism's lifted map departs from exact attention: L − P, signed.",
        .available = [](const Snapshot& snapshot) { return hasMap(snapshot, MapKind::Difference); },
        .make =
            [](const Snapshot& snapshot, const ViewSelection& selection) {
                ViewPicture picture = mapPicture(snapshot, MapKind::Difference, selection);
                picture.title = "Difference L − P (lifted minus exact)";
                picture.valueName = "difference of weights";
                return picture;
            },
    };
}

}  // namespace linscope::viz

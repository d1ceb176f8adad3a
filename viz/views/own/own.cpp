#include "viz/views/view.h"

namespace linscope::viz {

ViewInfo ownView() {
    const auto view = [](const Snapshot& snapshot) -> const ViewInfo& { return findView(mapName(ownMap(snapshot))); };
    return {
        .name = "own",
        .title = "What the mechanism does",
        .summary =
            "The map by which the mechanism mixes the tokens' values: the exact one where it is exact attention, else "
            "the lifted one. What lanes are compared by.",
        .available = [](const Snapshot& snapshot) { return hasMap(snapshot, ownMap(snapshot)); },
        .make = [view](const Snapshot& snapshot,
                       const ViewSelection& selection) { return view(snapshot).make(snapshot, selection); },
    };
}

}  // namespace linscope::viz

#pragma once

#include <string>
#include <vector>

#include "core/train/snapshot.h"

namespace linscope::app {

struct DrawRequest {
    std::string view;
    int layer = 0, head = 0, sample = 0;
    std::string range = "one";  ///< of several figures: "one" for all of a kind, or "each"
    std::string device;         ///< "cpu", "cuda" or "auto"
    std::string out;            ///< PNG
};

/// What is drawn, with the words that stand below its title.
struct DrawnSnapshot {
    Snapshot snapshot;
    std::string caption;  ///< run, lane, step
};

// What the two builds, with views and without, do differently.

/// Throws Error where this build has no views.
void requireViews();
bool canShow(const std::string& view, const Snapshot& snapshot);
/// One figure, or several side by side. Throws Error.
void drawView(const DrawRequest& request, const std::vector<DrawnSnapshot>& snapshots);

}  // namespace linscope::app

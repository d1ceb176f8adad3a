#pragma once

#include <cstdint>
#include <string>

#include "core/train/snapshot.h"

namespace linscope::app {

/// One picture, with the words that stand below its title.
struct DrawRequest {
    std::string view;
    int layer = 0, head = 0, sample = 0;
    std::string device;   ///< "cpu", "cuda" or "auto"
    std::string caption;  ///< run, lane, step
    std::string out;      ///< PNG
};

// What the two builds, with views and without, do differently.

/// Throws Error where this build has no views.
void requireViews();
bool canShow(const std::string& view, const Snapshot& snapshot);
/// Throws Error.
void drawView(const DrawRequest& request, const Snapshot& snapshot);

}  // namespace linscope::app

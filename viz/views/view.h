#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/analysis/maps.h"
#include "core/train/snapshot.h"
#include "viz/heatmap/pooling.h"
#include "viz/heatmap/value_scale.h"
#include "viz/interop/map_source.h"

namespace linscope::viz {

/// Which map of a snapshot.
struct ViewSelection {
    int layer = 0, head = 0, sample = 0;
    std::string projection = "E";  ///< "E" or "F", for views of projections
    std::int64_t maxSide = 4096;   ///< larger maps are pooled to at most this many rows and columns
    MapSource* source = nullptr;   ///< what computes; null: the processor
};

/// A matrix and all that is needed to draw it rightly.
struct ViewPicture {
    std::shared_ptr<const Matrix> matrix;
    std::shared_ptr<const DeviceMatrix>
        cells;                                ///< the same numbers where they are drawn from; null: the matrix is drawn
    MapRoute route;                           ///< where it was computed
    std::string title;                        ///< "Lifted map L = P̄F"
    std::string detail;                       ///< "layer 0, head 2, sample 0"
    std::string rowAxis, colAxis;             ///< "query token", "key token", "slot"
    std::string valueName;                    ///< what a value is, for the colour bar: "attention weight"
    std::int64_t rowBlock = 1, colBlock = 1;  ///< tokens or slots per cell
    std::string pooled = "none";              ///< how cells of the matrix were pooled: "none", "max", "abs-max"
    Pooling pooling = Pooling::Max;           ///< how cells are pooled further when several fall on a pixel
    ScaleKind scale = ScaleKind::Linear;      ///< the scale that suits it, if nothing else is asked for
};

/// One registered view: a folder viz/views/<name>/ that defines `ViewInfo <name>View()`.
struct ViewInfo {
    std::string name;                                ///< as `linscope render --view` takes it
    std::string title;                               ///< for menus
    std::string summary;                             ///< one sentence for help and tooltips
    std::function<bool(const Snapshot&)> available;  ///< whether the snapshot's mechanism has such a map
    /// Throws Error when it is not available or the selection is out of range.
    std::function<ViewPicture(const Snapshot&, const ViewSelection&)> make;
};

/// All views, in the order of their lines in viz/views/CMakeLists.txt.
const std::vector<ViewInfo>& views();
/// Throws Error that lists the names when there is no view `name`.
const ViewInfo& findView(std::string_view name);

/// The picture of one of the maps of core/analysis/maps.h: what most views make.
ViewPicture mapPicture(const Snapshot& snapshot, MapKind kind, const ViewSelection& selection);

}  // namespace linscope::viz

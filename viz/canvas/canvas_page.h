#pragma once

namespace linscope::viz {

enum class CanvasPage {
    Maps,        ///< all maps of a head of one lane
    Projection,  ///< E and F of that lane
    Lanes,       ///< the own map (ownMap()) of that head in every lane
};
inline constexpr int kCanvasPageCount = 3;

}  // namespace linscope::viz

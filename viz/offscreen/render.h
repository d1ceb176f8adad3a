#pragma once

#include <optional>
#include <string>

#include "viz/gpu/device.h"
#include "viz/heatmap/colour_map.h"
#include "viz/offscreen/png.h"
#include "viz/views/view.h"

namespace linscope::viz {

struct RenderOptions {
    int width = 1440, height = 1330;  ///< pixels, at least 320 × 280
    std::optional<ValueScale> scale;  ///< none: autoRange() of the picture's own scale
    std::string colours;              ///< name of a colour map; empty: the default for the scale
    bool tellsRange = false;          ///< in words too: figures beside this one have others
    std::string caption;              ///< a line below the title: run, lane, step
    PngText metadata;                 ///< run, lane, step …; view, layer, head, scale and range are added
};

/// The picture with title, axes, ticks, colour bar and a note that says how it was pooled and what was clipped.
RgbaImage renderFigure(Device& device, const ViewPicture& picture, const RenderOptions& options);

/// renderFigure() into a PNG file with its metadata. Throws Error when there is no font or the file cannot be written.
void renderToPng(Device& device, const std::string& path, const ViewPicture& picture, const RenderOptions& options);

}  // namespace linscope::viz

#pragma once

#include <string>
#include <vector>

#include "viz/gpu/device.h"
#include "viz/offscreen/png.h"
#include "viz/views/view.h"

namespace linscope::viz {

struct GalleryPicture {
    ViewPicture picture;
    std::string caption;  ///< a line below its title: run, lane, step
};

/// Figures side by side. Those of one kind of scale, weights or signed values, share a range, so that equal colours are
/// equal values.
RgbaImage renderGallery(Device& device, const std::vector<GalleryPicture>& pictures);

/// renderGallery() into a PNG file with the metadata. Throws Error when there is no font or the file cannot be written.
void renderGalleryToPng(Device& device, const std::string& path, const std::vector<GalleryPicture>& pictures,
                        const PngText& metadata);

}  // namespace linscope::viz

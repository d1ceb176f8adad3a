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

enum class GalleryRanges {
    One,   ///< for all of one kind of scale, weights or signed values, so that equal colours are equal values
    Each,  ///< ownRange(), so that flat maps show what they are made of
};

/// Figures side by side. Where ranges differ each figure tells its own in words.
RgbaImage renderGallery(Device& device, const std::vector<GalleryPicture>& pictures,
                        GalleryRanges ranges = GalleryRanges::One);

/// renderGallery() into a PNG file with the metadata. Throws Error when there is no font or the file cannot be written.
void renderGalleryToPng(Device& device, const std::string& path, const std::vector<GalleryPicture>& pictures,
                        const PngText& metadata, GalleryRanges ranges = GalleryRanges::One);

}  // namespace linscope::viz

#include "viz/offscreen/gallery.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "viz/heatmap/histogram.h"
#include "viz/offscreen/render.h"

namespace linscope::viz {

namespace {

constexpr int kWidth = 1080, kHeight = 1000;  // of each figure, pixels

ValueScale sharedScale(const std::vector<GalleryPicture>& pictures, ScaleKind kind) {
    std::vector<Histogram> values;
    for (const GalleryPicture& one : pictures)
        if (one.picture.scale == kind) values.push_back(histogramOf(*one.picture.matrix, 1));
    return autoRange(values, kind);
}

ValueScale scaleAlone(const ViewPicture& picture) {
    const Histogram values = histogramOf(*picture.matrix, 1);
    // What may be negative and is not needs no half of the colours for it.
    const bool onlyWeights = picture.scale == ScaleKind::Diverging && values.min >= 0;
    return ownRange(values, onlyWeights ? ScaleKind::Linear : picture.scale);
}

}  // namespace

RgbaImage renderGallery(Device& device, const std::vector<GalleryPicture>& pictures, GalleryRanges ranges) {
    require(!pictures.empty(), "render", "a picture at least is required, but there is none");
    const auto count = static_cast<int>(pictures.size());
    const bool differ = ranges == GalleryRanges::Each || std::ranges::any_of(pictures, [&](const GalleryPicture& one) {
                            return one.picture.scale != pictures.front().picture.scale;
                        });
    const int columns = static_cast<int>(std::ceil(std::sqrt(count)));
    RgbaImage all(columns * kWidth, (count + columns - 1) / columns * kHeight);
    std::ranges::fill(all.pixels, std::uint8_t{255});
    for (int index = 0; index < count; ++index) {
        const GalleryPicture& one = pictures[static_cast<std::size_t>(index)];
        RenderOptions options;
        options.width = kWidth;
        options.height = kHeight;
        options.scale =
            ranges == GalleryRanges::One ? sharedScale(pictures, one.picture.scale) : scaleAlone(one.picture);
        options.tellsRange = differ;
        options.caption = one.caption;
        const RgbaImage figure = renderFigure(device, one.picture, options);
        for (int y = 0; y < kHeight; ++y)
            std::copy_n(figure.at(0, y), std::size_t{4} * kWidth,
                        all.at(index % columns * kWidth, index / columns * kHeight + y));
    }
    return all;
}

void renderGalleryToPng(Device& device, const std::string& path, const std::vector<GalleryPicture>& pictures,
                        const PngText& metadata, GalleryRanges ranges) {
    PngText text{{"Title", pictures.empty() ? "" : pictures.front().caption}, {"Software", "Linscope"}};
    text.insert(text.end(), metadata.begin(), metadata.end());
    text.emplace_back("ranges", ranges == GalleryRanges::One ? "one" : "each");
    writePng(path, renderGallery(device, pictures, ranges), text);
}

}  // namespace linscope::viz

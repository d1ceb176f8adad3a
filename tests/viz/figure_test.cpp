#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "tests/viz/vulkan_fixture.h"
#include "viz/offscreen/gallery.h"
#include "viz/offscreen/render.h"
#include "viz/offscreen/typesetter.h"

namespace linscope::viz {
namespace {

using ::testing::Contains;
using ::testing::Pair;

class FigureTest : public VulkanTest {
protected:
    std::string path(const std::string& name) const {
        return (std::filesystem::path(::testing::TempDir()) / ("linscope_figure_" + name)).string();
    }
    static ViewPicture picture(std::int64_t rows, std::int64_t cols) {
        Matrix matrix{rows, cols, {}};
        for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t c = 0; c < cols; ++c)
                matrix.values.push_back(std::exp(-0.3f * std::abs(float(r) - float(c) * float(rows) / float(cols))));
        ViewPicture result;
        result.matrix = std::make_shared<const Matrix>(std::move(matrix));
        result.title = "Compressed map P̄";
        result.detail = "layer 0, head 1, sample 0";
        result.rowAxis = "query token";
        result.colAxis = "slot";
        result.valueName = "attention weight";
        return result;
    }
};

int countColour(const RgbaImage& image, const Colour& colour) {
    int count = 0;
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x) {
            const std::uint8_t* p = image.at(x, y);
            count += std::abs(p[0] - 255 * colour.red) < 1.5f && std::abs(p[1] - 255 * colour.green) < 1.5f &&
                     std::abs(p[2] - 255 * colour.blue) < 1.5f;
        }
    return count;
}

TEST_F(FigureTest, WritesAPngWithItsMetadata) {
    RenderOptions options;
    options.width = 700;
    options.height = 600;
    options.metadata = {{"run", "kjv.h5"}, {"step", "25"}, {"note", "P̄F"}};
    const std::string file = path("meta.png");
    renderToPng(device(), file, picture(64, 16), options);
    PngText text;
    const RgbaImage image = readPng(file, &text);
    EXPECT_EQ(image.width, 700);
    EXPECT_EQ(image.height, 600);
    EXPECT_THAT(text, Contains(Pair("run", "kjv.h5")));
    EXPECT_THAT(text, Contains(Pair("step", "25")));
    EXPECT_THAT(text, Contains(Pair("note", "P̄F"))) << "not Latin-1, still whole";
    EXPECT_THAT(text, Contains(Pair("scale", "linear")));
    EXPECT_THAT(text, Contains(Pair("colours", "aurora")));
    EXPECT_FALSE(std::filesystem::exists(file + ".part"));
    std::filesystem::remove(file);
}

TEST_F(FigureTest, HasMapBarAndText) {
    RenderOptions options;
    options.width = 900;
    options.height = 800;
    const RgbaImage image = renderFigure(device(), picture(64, 64), options);
    const ColourMap& map = defaultColourMap(false);
    EXPECT_GT(countColour(image, {1, 1, 1}), 900 * 800 / 5) << "paper";
    EXPECT_GT(countColour(image, map.at(1)), 64 * 16) << "the diagonal and the bar's top";
    EXPECT_GT(countColour(image, {0.11f, 0.12f, 0.15f}), 200) << "ink";
    for (const int x : {0, 899})
        for (int y = 0; y < 800; ++y) ASSERT_EQ(image.at(x, y)[0], 255) << "nothing runs out of the picture";
    for (const int y : {0, 799})
        for (int x = 0; x < 900; ++x) ASSERT_EQ(image.at(x, y)[0], 255);
}

TEST_F(FigureTest, ShowsWhatIsNotFinite) {
    ViewPicture broken = picture(300, 300);
    Matrix matrix = *broken.matrix;
    matrix.values[300 * 200 + 10] = std::numeric_limits<float>::quiet_NaN();
    broken.matrix = std::make_shared<const Matrix>(matrix);
    RenderOptions options;
    options.width = 400;
    options.height = 360;
    EXPECT_GT(countColour(renderFigure(device(), broken, options), kNanColour), 10) << "the cell and the legend";
}

TEST_F(FigureTest, AnyShapeAndSizeCanBeDrawn) {
    RenderOptions options;
    options.width = 320;
    options.height = 280;
    for (const auto& [rows, cols] : {std::pair{1, 1}, {1, 900}, {900, 1}, {2, 3}, {512, 64}})
        EXPECT_NO_THROW(renderFigure(device(), picture(rows, cols), options)) << rows << " × " << cols;
    options.width = 100;
    EXPECT_THROW(renderFigure(device(), picture(2, 2), options), Error);
    EXPECT_THROW(renderFigure(device(), ViewPicture{}, RenderOptions{}), Error);
}

TEST_F(FigureTest, AnUnwritablePathIsSaidAndLeavesNothing) {
    RenderOptions options;
    options.width = 320;
    options.height = 280;
    EXPECT_THROW(renderToPng(device(), path("no_such_folder/a.png"), picture(2, 2), options), Error);
    const std::string folder = path("folder");
    std::filesystem::create_directory(folder);
    EXPECT_THROW(renderToPng(device(), folder, picture(2, 2), options), Error);
    EXPECT_FALSE(std::filesystem::exists(folder + ".part"));
    std::filesystem::remove(folder);
}

TEST(Png, AForeignOrTruncatedFileIsRefused) {
    const std::string file = (std::filesystem::path(::testing::TempDir()) / "linscope_foreign.png").string();
    std::ofstream(file) << "not a picture";
    EXPECT_THROW(readPng(file), Error);
    RgbaImage image(40, 40);
    for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = std::uint8_t(i * 37 % 251);
    EXPECT_THROW(writePng(file, image), Error);  // never over a file of another kind
    std::filesystem::remove(file);
    writePng(file, image);
    EXPECT_EQ(readPng(file).pixels, image.pixels);
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    EXPECT_THROW(readPng(file), Error);
    std::filesystem::remove(file);
    EXPECT_THROW(readPng(file), Error);
}

TEST(Typesetter, PutsInkWhereItIsAsked) {
    Typesetter type;
    const float width = type.width("query token", 20);
    EXPECT_GT(width, 60);
    EXPECT_LT(width, 180);
    EXPECT_NEAR(type.width("query token", 40), 2 * width, 1) << "no hinting: text scales";
    EXPECT_NEAR(type.width("P̄", 20), type.width("P", 20), 0.01) << "a combining mark takes no room";
    const auto inkBox = [](const RgbaImage& image) {
        int left = 999, right = -1, top = 999, bottom = -1;
        for (int y = 0; y < image.height; ++y)
            for (int x = 0; x < image.width; ++x)
                if (image.at(x, y)[0] < 128) {
                    left = std::min(left, x), right = std::max(right, x);
                    top = std::min(top, y), bottom = std::max(bottom, y);
                }
        return std::array{left, right, top, bottom};
    };
    RgbaImage image(200, 200);
    std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t(255));
    type.draw(image, "HHHHH", {.x = 190, .y = 100, .size = 20, .align = TextAlign::Right});
    const auto flat = inkBox(image);
    EXPECT_NEAR(flat[1], 188, 3);
    EXPECT_NEAR(flat[3], 99, 1);
    std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t(255));
    type.draw(image, "HHHHH", {.x = 100, .y = 190, .size = 20, .upward = true});
    const auto upright = inkBox(image);
    EXPECT_NEAR(upright[1], 99, 1) << "the baseline is on the right";
    EXPECT_NEAR(upright[3], 188, 3) << "it starts at the bottom";
    EXPECT_NEAR(upright[3] - upright[2], flat[1] - flat[0], 1);
}

TEST_F(FigureTest, AGalleryHasFiguresSideBySideAndWeightsInOneRange) {
    const auto constant = [&](float value) {
        ViewPicture one = picture(8, 8);
        one.matrix = std::make_shared<const Matrix>(Matrix{8, 8, std::vector<float>(64, value)});
        return one;
    };
    std::vector<GalleryPicture> pictures{{constant(0.25f), "a"}, {constant(1), "b"}, {constant(0.5f), "c"}};
    const RgbaImage image = renderGallery(device(), pictures);
    ASSERT_EQ(image.width, 2 * 1080);
    ASSERT_EQ(image.height, 2 * 1000);
    const auto middle = [&](int column, int row) {
        const std::uint8_t* pixel = image.at(column * 1080 + 450, row * 1000 + 450);
        return std::vector<int>(pixel, pixel + 3);
    };
    const auto expected = [](float value) {
        const Colour colour = defaultColourMap(false).at(value);
        return std::vector<int>{int(std::lround(255 * colour.red)), int(std::lround(255 * colour.green)),
                                int(std::lround(255 * colour.blue))};
    };
    const auto near = [](const std::vector<int>& a, const std::vector<int>& b) {
        for (int i = 0; i < 3; ++i)
            if (std::abs(a[i] - b[i]) > 3) return false;
        return true;
    };
    EXPECT_TRUE(near(middle(0, 0), expected(0.25f)));
    EXPECT_TRUE(near(middle(1, 0), expected(1)));
    EXPECT_TRUE(near(middle(0, 1), expected(0.5f)));
    EXPECT_EQ(middle(1, 1), (std::vector<int>{255, 255, 255})) << "a place without a figure";
    EXPECT_THROW(renderGallery(device(), {}), Error);

    Matrix flat{8, 8, {}};
    for (int i = 0; i < 64; ++i) flat.values.push_back(0.25f + 0.001f * float(i % 8));
    pictures[0].picture.matrix = std::make_shared<const Matrix>(flat);
    const RgbaImage each = renderGallery(device(), pictures, GalleryRanges::Each);
    std::set<std::uint32_t> colours;
    for (int x = 200; x < 800; ++x) {
        const std::uint8_t* pixel = each.at(x, 450);
        colours.insert(pixel[0] | pixel[1] << 8u | pixel[2] << 16u);
    }
    EXPECT_GE(colours.size(), 8u) << "a flat map shows what it is made of";
}

}  // namespace
}  // namespace linscope::viz

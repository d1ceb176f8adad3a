#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace linscope::viz {

/// Pixels in memory, four bytes each (red, green, blue, alpha), sRGB, rows from the top.
struct RgbaImage {
    int width = 0, height = 0;
    std::vector<std::uint8_t> pixels;  // [height,width,4]
    RgbaImage() = default;
    RgbaImage(int w, int h) : width(w), height(h), pixels(std::size_t(w) * h * 4) {}
    const std::uint8_t* at(int x, int y) const { return &pixels[(std::size_t(y) * width + x) * 4]; }
    std::uint8_t* at(int x, int y) { return &pixels[(std::size_t(y) * width + x) * 4]; }
};

/// Keyword and value, stored in order as tEXt (iTXt where the value is not Latin-1).
using PngText = std::vector<std::pair<std::string, std::string>>;

/// Writes beside `path` and renames, so that no half-written picture is ever seen. Throws Error when the
/// file cannot be written.
void writePng(const std::string& path, const RgbaImage& image, const PngText& text = {});
/// Throws Error when the file cannot be read or is not a PNG. `text`, when given, receives the metadata.
RgbaImage readPng(const std::string& path, PngText* text = nullptr);

}  // namespace linscope::viz

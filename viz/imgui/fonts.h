#pragma once

#include <optional>
#include <string>

struct ImFont;
struct ImFontAtlas;

namespace linscope::viz {

/// A font file and the face inside it.
struct FontFile {
    std::string path;
    int face = 0;
};

/// What fontconfig answers for a pattern such as "Inter:medium"; empty where it has no font at all.
/// `sameFamily` demands that the family is the one named: "Inter" must not be answered with DejaVu Sans.
std::optional<FontFile> findFont(const std::string& pattern, bool sameFamily = false);

/// The faces that the canvas writes with. Sizes are logical pixels; the atlas holds them at `scale`.
struct Fonts {
    ImFont* text = nullptr;    ///< Inter 14
    ImFont* strong = nullptr;  ///< Inter semi-bold 14
    ImFont* small = nullptr;   ///< Inter 12
    ImFont* number = nullptr;  ///< JetBrains Mono 13
    ImFont* tiny = nullptr;    ///< JetBrains Mono 10.5, values in cells and axes
    bool found = false;        ///< false: the built-in bitmap font serves, without Greek and symbols
};

/// Fills the atlas with Latin, Greek, arrows and the symbols used in the canvas. Glyphs that Inter or
/// JetBrains Mono lack are taken from the system's sans-serif font.
Fonts buildFonts(ImFontAtlas& atlas, float scale);

}  // namespace linscope::viz

#include "viz/offscreen/typesetter.h"

#include <fontconfig/fontconfig.h>
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace linscope::viz {
namespace {

struct FontFile {
    std::string path;
    int index = 0;
};

// The fonts of a family and those that fontconfig puts after it, best first, enough to cover our signs.
std::vector<FontFile> findFonts(TextWeight weight) {
    std::vector<FontFile> files;
    FcConfig* config = FcInitLoadConfigAndFonts();
    if (!config) return files;
    FcPattern* pattern = FcPatternCreate();
    for (const char* family : {"Inter", "DejaVu Sans", "sans-serif"})
        FcPatternAddString(pattern, FC_FAMILY, reinterpret_cast<const FcChar8*>(family));
    FcPatternAddInteger(pattern, FC_WEIGHT, weight == TextWeight::Semibold ? FC_WEIGHT_DEMIBOLD : FC_WEIGHT_REGULAR);
    FcPatternAddInteger(pattern, FC_SLANT, FC_SLANT_ROMAN);
    FcPatternAddBool(pattern, FC_SCALABLE, FcTrue);
    FcPatternAddBool(pattern, FC_VARIABLE, FcFalse);
    FcConfigSubstitute(config, pattern, FcMatchPattern);
    FcDefaultSubstitute(pattern);
    FcResult result = FcResultMatch;
    if (FcFontSet* sorted = FcFontSort(config, pattern, FcTrue, nullptr, &result)) {
        for (int i = 0; i < sorted->nfont && files.size() < 8; ++i) {
            FcChar8* path = nullptr;
            int index = 0;
            FcBool scalable = FcFalse;
            FcPatternGetBool(sorted->fonts[i], FC_SCALABLE, 0, &scalable);
            FcPatternGetInteger(sorted->fonts[i], FC_INDEX, 0, &index);
            if (scalable && FcPatternGetString(sorted->fonts[i], FC_FILE, 0, &path) == FcResultMatch)
                files.push_back({reinterpret_cast<const char*>(path), index});
        }
        FcFontSetDestroy(sorted);
    }
    FcPatternDestroy(pattern);
    FcConfigDestroy(config);
    return files;
}

std::vector<char32_t> decodeUtf8(std::string_view text) {
    std::vector<char32_t> result;
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i++]);
        int more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        char32_t code = more == 0 ? lead : lead & (0x3f >> more);
        for (; more > 0 && i < text.size(); --more) code = code << 6 | (static_cast<unsigned char>(text[i++]) & 0x3f);
        result.push_back(code);
    }
    return result;
}

bool isCombining(char32_t code) {
    return code >= 0x300 && code <= 0x36f;
}

/// Coverage of a set line: row-major, 0 to 255.
struct Mask {
    int width = 0, height = 0, left = 0, baseline = 0;
    std::vector<std::uint8_t> coverage;
};

void blend(std::uint8_t* pixel, const Colour& colour, int coverage) {
    const float ink[] = {colour.red, colour.green, colour.blue};
    for (int c = 0; c < 3; ++c)
        pixel[c] = std::uint8_t(std::lround(pixel[c] + (ink[c] * 255 - pixel[c]) * float(coverage) / 255));
    pixel[3] = 255;
}

}  // namespace

struct Typesetter::State {
    FT_Library library = nullptr;
    std::vector<FT_Face> faces[2];  // by weight, the preferred first

    ~State() {
        for (auto& list : faces)
            for (FT_Face face : list) FT_Done_Face(face);
        if (library) FT_Done_FreeType(library);
    }
    FT_Face faceFor(char32_t code, TextWeight weight) {
        auto& list = faces[int(weight)];
        for (FT_Face face : list)
            if (FT_Get_Char_Index(face, code)) return face;
        return list.front();
    }
    template <typename Place>
    float layOut(std::string_view text, float size, TextWeight weight, Place&& place);
};

// Calls place(face, pen, raise) for every glyph, loaded in the face's slot; the answer is the line's width.
template <typename Place>
float Typesetter::State::layOut(std::string_view text, float size, TextWeight weight, Place&& place) {
    float pen = 0, previousStart = 0, previousAdvance = 0;
    bool previousTall = false;
    FT_Face previousFace = nullptr;
    FT_UInt previousGlyph = 0;
    for (const char32_t code : decodeUtf8(text)) {
        FT_Face face = faceFor(code, weight);
        FT_Set_Char_Size(face, 0, FT_F26Dot6(std::lround(size * 64)), 72, 72);
        const FT_UInt glyph = FT_Get_Char_Index(face, code);
        if (FT_Load_Glyph(face, glyph, FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP)) continue;
        const auto& metrics = face->glyph->metrics;
        if (isCombining(code)) {
            // Marks are centred on the letter before them, above capitals by as much as these are taller.
            const float centre = previousStart + previousAdvance / 2;
            place(face, centre - float(metrics.horiBearingX + metrics.width / 2) / 64, previousTall ? size * 0.19f : 0);
            continue;
        }
        FT_Vector kerning{0, 0};
        if (previousFace == face) FT_Get_Kerning(face, previousGlyph, glyph, FT_KERNING_UNFITTED, &kerning);
        pen += float(kerning.x) / 64;
        place(face, pen, 0.0f);
        previousStart = pen;
        previousAdvance = float(face->glyph->linearHoriAdvance) / 65536;
        previousTall = code >= 'A' && code <= 'Z';
        previousFace = face;
        previousGlyph = glyph;
        pen += previousAdvance;
    }
    return pen;
}

Typesetter::Typesetter() : m_state(std::make_unique<State>()) {
    require(FT_Init_FreeType(&m_state->library) == 0, "font", "FreeType must start, but it does not");
    for (const TextWeight weight : {TextWeight::Regular, TextWeight::Semibold}) {
        for (const FontFile& file : findFonts(weight)) {
            FT_Face face = nullptr;
            if (FT_New_Face(m_state->library, file.path.c_str(), file.index, &face) == 0)
                m_state->faces[int(weight)].push_back(face);
        }
        require(!m_state->faces[int(weight)].empty(), "font",
                "a scalable font is required, but fontconfig knows none; install fonts-inter");
    }
}
Typesetter::~Typesetter() = default;

float Typesetter::width(std::string_view text, float size, TextWeight weight) {
    return m_state->layOut(text, size, weight, [](FT_Face, float, float) {});
}

void Typesetter::draw(RgbaImage& image, std::string_view text, const Line& line) {
    const float length = width(text, line.size, line.weight);
    Mask mask;
    mask.left = int(std::ceil(line.size));
    mask.baseline = int(std::ceil(line.size * 1.5f));
    mask.width = int(std::ceil(length)) + 2 * mask.left;
    mask.height = mask.baseline + int(std::ceil(line.size));
    mask.coverage.resize(std::size_t(mask.width) * mask.height);
    const float shift = line.align == TextAlign::Left ? 0 : line.align == TextAlign::Centre ? length / 2 : length;
    // The fraction of a pixel at which the line begins goes into the outlines: spacing stays even.
    const float start = (line.upward ? -line.y : line.x) - shift;
    const float whole = std::floor(start), fraction = start - whole;
    m_state->layOut(text, line.size, line.weight, [&](FT_Face face, float pen, float raise) {
        const float at = pen + fraction, pixel = std::floor(at);
        FT_Outline_Translate(&face->glyph->outline, FT_Pos((at - pixel) * 64), FT_Pos(raise * 64));
        if (FT_Render_Glyph(face->glyph, FT_RENDER_MODE_NORMAL)) return;
        const FT_Bitmap& bitmap = face->glyph->bitmap;
        const int x0 = mask.left + int(pixel) + face->glyph->bitmap_left, y0 = mask.baseline - face->glyph->bitmap_top;
        for (int y = 0; y < int(bitmap.rows); ++y)
            for (int x = 0; x < int(bitmap.width); ++x) {
                if (x0 + x < 0 || x0 + x >= mask.width || y0 + y < 0 || y0 + y >= mask.height) continue;
                auto& cell = mask.coverage[std::size_t(y0 + y) * mask.width + x0 + x];
                cell = std::uint8_t(std::min(255, cell + bitmap.buffer[y * bitmap.pitch + x]));
            }
    });
    const int across = int(std::lround(line.upward ? line.x : line.y));
    for (int y = 0; y < mask.height; ++y)
        for (int x = 0; x < mask.width; ++x) {
            const int coverage = mask.coverage[std::size_t(y) * mask.width + x];
            if (coverage == 0) continue;
            const int along = int(whole) + x - mask.left, off = across + y - mask.baseline;
            const int px = line.upward ? off : along, py = line.upward ? -along - 1 : off;
            if (px >= 0 && px < image.width && py >= 0 && py < image.height)
                blend(image.at(px, py), line.colour, coverage);
        }
}

}  // namespace linscope::viz

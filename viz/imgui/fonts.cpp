#include "viz/imgui/fonts.h"

#include <fontconfig/fontconfig.h>
#include <imgui.h>
#include <imgui_freetype.h>

#include <array>
#include <memory>
#include <string_view>

namespace linscope::viz {

namespace {

struct PatternDeleter {
    void operator()(FcPattern* pattern) const { FcPatternDestroy(pattern); }
};
struct ConfigDeleter {
    void operator()(FcConfig* config) const { FcConfigDestroy(config); }
};
using Pattern = std::unique_ptr<FcPattern, PatternDeleter>;

constexpr std::array<ImWchar, 21> kRanges{0x0020, 0x00ff,  // Latin, Latin-1
                                          0x0100, 0x017f,  // Latin Extended-A
                                          0x0370, 0x03ff,  // Greek
                                          0x2010, 0x2027,  // dashes, quotation marks, ellipsis
                                          0x2070, 0x209c,  // superscripts and subscripts
                                          0x2190, 0x21b5,  // arrows
                                          0x2200, 0x22ff,  // operators: − ≤ ‖ ∞ Σ
                                          0x23ce, 0x23ce,  // return symbol
                                          0x2400, 0x2426,  // control pictures, open box
                                          0x25a0, 0x25ff,  // shapes
                                          0};

class Builder {
public:
    Builder(ImFontAtlas& atlas, float scale) : m_atlas(atlas), m_scale(scale), m_fallback(findFont("sans-serif")) {}

    ImFont* add(const std::optional<FontFile>& file, float size) {
        if (!file) return nullptr;
        ImFont* font = load(*file, size, false);
        if (font && m_fallback && m_fallback->path != file->path) load(*m_fallback, size, true);
        return font;
    }

private:
    ImFont* load(const FontFile& file, float size, bool merge) {
        ImFontConfig config;
        config.FontNo = file.face;
        config.MergeMode = merge;
        config.OversampleH = 1;
        config.PixelSnapH = true;
        config.GlyphRanges = kRanges.data();
        return m_atlas.AddFontFromFileTTF(file.path.c_str(), size * m_scale, &config);
    }

    ImFontAtlas& m_atlas;
    float m_scale;
    std::optional<FontFile> m_fallback;
};

}  // namespace

std::optional<FontFile> findFont(const std::string& wanted, bool sameFamily) {
    const std::unique_ptr<FcConfig, ConfigDeleter> config(FcInitLoadConfigAndFonts());
    if (!config) return std::nullopt;
    const Pattern pattern(FcNameParse(reinterpret_cast<const FcChar8*>(wanted.c_str())));
    if (!pattern) return std::nullopt;
    FcConfigSubstitute(config.get(), pattern.get(), FcMatchPattern);
    FcDefaultSubstitute(pattern.get());
    FcResult result = FcResultNoMatch;
    const Pattern match(FcFontMatch(config.get(), pattern.get(), &result));
    FcChar8* path = nullptr;
    if (!match || FcPatternGetString(match.get(), FC_FILE, 0, &path) != FcResultMatch) return std::nullopt;
    if (sameFamily) {
        FcChar8* family = nullptr;
        const std::string_view asked = std::string_view(wanted).substr(0, wanted.find(':'));
        if (FcPatternGetString(match.get(), FC_FAMILY, 0, &family) != FcResultMatch ||
            asked != reinterpret_cast<const char*>(family))
            return std::nullopt;
    }
    int face = 0;
    FcPatternGetInteger(match.get(), FC_INDEX, 0, &face);
    return FontFile{reinterpret_cast<const char*>(path), face & 0xffff};
}

Fonts buildFonts(ImFontAtlas& atlas, float scale) {
    const auto pick = [](const char* wanted, const char* generic) {
        auto file = findFont(wanted, true);
        return file ? file : findFont(generic);
    };
    atlas.Clear();
    atlas.FontBuilderIO = ImGuiFreeType::GetBuilderForFreeType();
    atlas.TexGlyphPadding = 1;
    Builder builder(atlas, scale);
    const auto text = pick("Inter:medium", "sans-serif");
    const auto strong = pick("Inter:semibold", "sans-serif:bold");
    const auto mono = pick("JetBrains Mono", "monospace");
    Fonts fonts;
    fonts.text = builder.add(text, 14.0F);
    fonts.strong = builder.add(strong, 14.0F);
    fonts.small = builder.add(text, 12.0F);
    fonts.number = builder.add(mono, 13.0F);
    fonts.tiny = builder.add(mono, 10.5F);
    fonts.found = fonts.text && fonts.number;
    if (!fonts.text) {
        ImFontConfig config;
        config.SizePixels = 13.0F * scale;
        fonts.text = atlas.AddFontDefault(&config);
    }
    for (ImFont** font : {&fonts.strong, &fonts.small, &fonts.number, &fonts.tiny})
        if (!*font) *font = fonts.text;
    atlas.Build();
    return fonts;
}

}  // namespace linscope::viz

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linscope::viz {

/// A colour, sRGB-encoded, each channel in [0,1].
struct Colour {
    float red = 0, green = 0, blue = 0;
};

/// A perceptually uniform, colour-blind safe colour map: equal steps of the argument are equal steps of
/// Oklab distance (Ottosson 2020). Sequential maps rise in lightness from end to end; diverging maps
/// have their extreme lightness, and no chroma, at 1/2.
class ColourMap {
public:
    static constexpr int kEntries = 511;  ///< odd: the middle has an entry of its own

    const std::string& name() const { return m_name; }
    const std::string& title() const { return m_title; }  ///< for menus: "Aurora (sequential)"
    bool isDiverging() const { return m_diverging; }
    /// The colour at t ∈ [0,1]; outside it the colour of the nearer end.
    Colour at(float t) const;
    const std::array<Colour, kEntries>& entries() const { return m_entries; }

    ColourMap(std::string name, std::string title, bool diverging, const std::array<Colour, kEntries>& entries)
        : m_name(std::move(name)), m_title(std::move(title)), m_diverging(diverging), m_entries(entries) {}

private:
    std::string m_name, m_title;
    bool m_diverging;
    std::array<Colour, kEntries> m_entries;
};

/// All maps; the first is the default for non-negative values, the first diverging one for signed values.
const std::vector<ColourMap>& colourMaps();
/// Throws Error that lists the names when there is no map `name`.
const ColourMap& colourMap(std::string_view name);
const ColourMap& defaultColourMap(bool diverging);

/// Fixed colours that no map contains: what is not a number must never pass for one.
inline constexpr Colour kNanColour{1.0f, 0.0f, 1.0f};
inline constexpr Colour kPlusInfColour{0.0f, 1.0f, 0.25f};
inline constexpr Colour kMinusInfColour{0.0f, 0.9f, 1.0f};

}  // namespace linscope::viz

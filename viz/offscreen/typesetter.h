#pragma once

#include <memory>
#include <string_view>

#include "viz/heatmap/colour_map.h"
#include "viz/offscreen/png.h"

namespace linscope::viz {

enum class TextWeight { Regular, Semibold };
enum class TextAlign { Left, Centre, Right };

/// Sets lines of UTF-8 text into pictures: Inter where it is installed, else what fontconfig finds, with other fonts
/// for characters that it lacks.
class Typesetter {
public:
    /// Throws Error when fontconfig knows no scalable font.
    Typesetter();
    ~Typesetter();

    /// Width of the line in pixels at `size` pixels per em.
    float width(std::string_view text, float size, TextWeight weight = TextWeight::Regular);

    struct Line {
        float x = 0, y = 0;  ///< where the baseline starts (Left), is centred, or ends (Right)
        float size = 16;     ///< pixels per em
        Colour colour;
        TextAlign align = TextAlign::Left;
        TextWeight weight = TextWeight::Regular;
        bool upward = false;  ///< the line runs from the bottom to the top
    };
    void draw(RgbaImage& image, std::string_view text, const Line& line);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

}  // namespace linscope::viz

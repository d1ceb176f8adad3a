#pragma once

namespace linscope::viz {

// Room around a picture in its card, logical pixels.
inline constexpr float kTitleHeight = 34;
inline constexpr float kLeftGutter = 58;
inline constexpr float kBottomGutter = 40;
inline constexpr float kRightGutter = 70;  ///< with the colour bar
inline constexpr float kBareRightGutter = 14;
inline constexpr float kBarBand = 36;  ///< below the axis where the bar lies there
inline constexpr float kCaptionHeight = 16;
inline constexpr float kBarWidth = 11;
inline constexpr float kBarGap = 10;

/// Units of an axis are written with their texts from this size on, logical pixels.
inline constexpr double kLabelledUnit = 13;
/// Values are printed into cells from this size on, logical pixels.
inline constexpr double kPrintedWidth = 40;
inline constexpr double kPrintedHeight = 17;

}  // namespace linscope::viz

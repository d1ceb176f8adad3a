#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace linscope::viz {

/// Steps 1, 2, 5, 10, 20, 50 … of cells so that two marks are at least `apart` pixels from each other.
std::int64_t tickStep(double pixelsPerCell, double apart);

/// Multiples of the step inside [first, last] (cell indices).
std::vector<std::int64_t> ticks(std::int64_t first, std::int64_t last, std::int64_t step);

/// "0.0125", "−3.1e−05", "0": `digits` significant digits, with a real minus sign; NaN and Inf in words.
std::string numberText(double value, int digits = 3);

/// Where the middle of a text of the given extent stands in a cell, pixels of the plot, so that all of it is seen: a
/// number that the plot's edge cuts off has lost its sign or its decimal point. `middle` and `cell` are the cell's
/// middle and extent. Nothing where the cell, or what is seen of it, has no room.
std::optional<float> placeInCell(double middle, double cell, float text, float plot);

}  // namespace linscope::viz

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace linscope::viz {

/// Steps 1, 2, 5, 10, 20, 50 … of cells so that two marks are at least `apart` pixels from each other.
std::int64_t tickStep(double pixelsPerCell, double apart);

/// Multiples of the step inside [first, last] (cell indices).
std::vector<std::int64_t> ticks(std::int64_t first, std::int64_t last, std::int64_t step);

/// "0.0125", "−3.1e−05", "0": `digits` significant digits, with a real minus sign; NaN and Inf in words.
std::string numberText(double value, int digits = 3);

}  // namespace linscope::viz

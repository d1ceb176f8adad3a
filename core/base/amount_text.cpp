#include "core/base/amount_text.h"

#include <fmt/format.h>

#include <cmath>

namespace linscope {

std::string sizeText(std::uint64_t bytes) {
    const auto amount = static_cast<double>(bytes);
    if (bytes < 1'000) return fmt::format("{} bytes", bytes);
    if (bytes < 1'000'000) return fmt::format("{:.1f} kB", amount / 1e3);
    if (bytes < 1'000'000'000) return fmt::format("{:.1f} MB", amount / 1e6);
    return fmt::format("{:.2f} GB", amount / 1e9);
}

std::string durationText(double seconds) {
    if (!std::isfinite(seconds) || seconds < 0) return "?";
    const long long whole = std::llround(seconds);
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace linscope

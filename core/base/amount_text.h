#pragma once

#include <cstdint>
#include <string>

// Amounts as people read them.

namespace linscope {

/// "900 bytes", "4.2 kB", "4.4 MB", "1.25 GB": powers of 1000.
std::string sizeText(std::uint64_t bytes);
/// "12 s", "3 min 05 s", "2 h 07 min"; "?" for what is no duration.
std::string durationText(double seconds);

}  // namespace linscope

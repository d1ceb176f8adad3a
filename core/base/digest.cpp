#include "core/base/digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace linscope {

// Multiplied by an odd number and folded, which loses nothing of the state: a word that differs changes what follows.
void Digest::mix(std::uint64_t word) {
    m_state = (m_state ^ word) * 0xff51afd7ed558ccdULL;
    m_state ^= m_state >> 32;
}

void Digest::add(std::string_view part) {
    for (std::size_t at = 0; at < part.size(); at += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, part.data() + at, std::min(sizeof word, part.size() - at));
        mix(word);
    }
    mix(part.size());
}

std::string Digest::text() const {
    return fmt::format("{:016x}", m_state);
}

}  // namespace linscope

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace linscope {

/// 64 bits that tell whether two texts are the same: for changes that happen, not against somebody who wants to
/// deceive. It goes through memory about as fast as memory can be read.
class Digest {
public:
    /// Parts count: "ab" and "c" are not "a" and "bc".
    void add(std::string_view part);
    /// 16 hexadecimal digits.
    std::string text() const;

private:
    void mix(std::uint64_t word);

    std::uint64_t m_state = 0x9e3779b97f4a7c15ULL;
};

}  // namespace linscope

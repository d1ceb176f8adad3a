#pragma once

#include <cstdint>
#include <string_view>

namespace linscope {

/// FNV-1a with 64 bits (Fowler, Noll & Vo): a number for names and contents, the same on every machine. Its low bits
/// are weak.
class Fnv1a {
public:
    void add(std::uint64_t word) { m_hash = (m_hash ^ word) * 0x100000001b3ULL; }
    void add(std::string_view bytes) {
        for (const char byte : bytes) add(std::uint64_t{static_cast<unsigned char>(byte)});
    }
    std::uint64_t value() const { return m_hash; }

private:
    std::uint64_t m_hash = 0xcbf29ce484222325ULL;
};

inline std::uint64_t fnv1a(std::string_view bytes) {
    Fnv1a hash;
    hash.add(bytes);
    return hash.value();
}

}  // namespace linscope

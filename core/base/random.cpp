#include "core/base/random.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "core/base/fnv.h"

namespace linscope {
namespace {

// splitmix64 (Steele, Lea & Flood 2014) spreads a seed over the state, as xoshiro's authors advise.
std::uint64_t splitMix(std::uint64_t& x) {
    std::uint64_t z = (x += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed, std::string_view name) {
    std::uint64_t x = seed;
    std::uint64_t y = splitMix(x) ^ fnv1a(name);
    for (auto& word : m_state) word = splitMix(y);
}

std::uint64_t Random::bits() {
    auto& s = m_state;
    const std::uint64_t result = std::rotl(s[0] + s[3], 23) + s[0];
    const std::uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = std::rotl(s[3], 45);
    return result;
}

double Random::uniform() {
    return static_cast<double>(bits() >> 11) * 0x1.0p-53;
}

std::int64_t Random::below(std::int64_t bound) {
    const auto range = static_cast<std::uint64_t>(bound);
    const std::uint64_t rejected = (0 - range) % range;  // 2^64 mod range: keeps every value equally likely
    std::uint64_t x = bits();
    while (x < rejected) x = bits();
    return static_cast<std::int64_t>(x % range);
}

double Random::normal() {
    const double u = 1.0 - uniform();  // (0, 1], so that the logarithm is finite
    const double v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace linscope

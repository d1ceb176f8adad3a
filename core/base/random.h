#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace linscope {

/// One seeded stream of random numbers (xoshiro256++, Blackman & Vigna 2019).
///
/// Streams are named: two lanes that ask for the stream ("init", "blocks.0.norm") of one seed draw
/// the same numbers whatever else they draw. The state is four words, so a checkpoint can hold it.
/// The distributions are our own because the standard library's differ between implementations.
class Random {
public:
    using State = std::array<std::uint64_t, 4>;

    /// The stream called `name` of the run's `seed`.
    Random(std::uint64_t seed, std::string_view name);
    explicit Random(const State& state) : m_state(state) {}

    std::uint64_t bits();
    /// Uniform in [0, 1).
    double uniform();
    /// Uniform in {0, …, bound − 1}; bound > 0.
    std::int64_t below(std::int64_t bound);
    /// Standard normal (Box–Muller, the second value is dropped so that the state is all there is).
    double normal();

    const State& state() const { return m_state; }

private:
    State m_state;
};

}  // namespace linscope

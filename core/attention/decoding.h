#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace linscope {

/// One layer of a causal mechanism while a sequence is continued token by token, for all its heads.
/// After n steps it holds all that the mechanism remembers of n tokens: the k and v statistics of a streaming
/// mechanism, of constant size, or a key-value cache that grows.
class DecodingState {
public:
    virtual ~DecodingState() = default;
    /// Takes the next token's q, k, v [H,D] and gives its o [H,D].
    virtual void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
                      std::span<float> o) = 0;
    /// The state as numbers, and back: a loaded state goes on exactly as the saved one would have.
    /// load() throws Error when the numbers cannot be this mechanism's.
    virtual std::vector<float> save() const = 0;
    virtual void load(std::span<const float> numbers) = 0;
};

/// A count within a state: two numbers that floats hold exactly, where one alone counts to 2²⁴.
std::array<float, 2> countToFloats(std::int64_t count);
/// And back, from the first two numbers. Throws Error when they are missing or not what countToFloats() gives.
std::int64_t countFromFloats(std::span<const float> numbers);

}  // namespace linscope

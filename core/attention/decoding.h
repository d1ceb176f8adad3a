#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/autograd/variable.h"

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
    /// Takes the q, k, v [1,n,H,D] of the next n tokens, on a tape that does not record, and gives their o [1,n,H,D]:
    /// what as many steps would give and leave, up to rounding. By default it steps; a mechanism with a form for many
    /// tokens has it here, as matrix products, in memory that does not grow with n².
    virtual Variable read(const Variable& q, const Variable& k, const Variable& v);
    /// The state as numbers, and back: a loaded state goes on exactly as the saved one would have.
    /// load() throws Error when the numbers cannot be this mechanism's.
    virtual std::vector<float> save() const = 0;
    virtual void load(std::span<const float> numbers) = 0;
};

/// Throws Error unless a state of `numbers` numbers is one that q [1,n,H,D] can go on from and leave: one sequence in
/// single precision, on the processor and on a tape that does not record, and `state` of that size.
void checkCarried(const Variable& q, std::span<const float> state, std::int64_t numbers);

/// A count within a state: two numbers that floats hold exactly, where one alone counts to 2²⁴.
std::array<float, 2> countToFloats(std::int64_t count);
/// And back, from the first two numbers. Throws Error when they are missing or not what countToFloats() gives.
std::int64_t countFromFloats(std::span<const float> numbers);

}  // namespace linscope

#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "core/autograd/variable.h"
#include "core/tensor/arena.h"
#include "core/tensor/tensor.h"

namespace linscope {

/// One trained tensor with its gradient and AdamW's two moments, all of one shape.
struct Parameter {
    std::string name;  ///< "blocks.0.attention.query.weight": lanes that share a name start equal
    Tensor value, gradient, firstMoment, secondMoment;
    bool decay = true;        ///< weight decay applies (not to biases, norms, embeddings)
    bool projection = false;  ///< E or F: probed, and frozen as one group
    bool buffer = false;      ///< saved with the others, but never trained: random features
    bool frozen = false;      ///< gets no step
    bool trained() const { return !buffer && !frozen; }
    /// Where the device has the same, or empty (core/nn/device_parameters.h).
    struct OnDevice {
        Tensor value, gradient;
        Tensor rounded;  ///< the value in bfloat16, with that precision alone
    } onDevice;
};

/// The parameter as a leaf of the tape, on the tape's device: a constant unless it is trained.
Variable leafOf(Tape& tape, const Parameter& parameter);

/// Owns the parameters of one lane.
class ParameterStore {
public:
    /// `seed` names the random streams: a parameter's first values depend on the seed and its own name only.
    ParameterStore(std::uint64_t seed, DType type = DType::F32) : m_seed(seed), m_type(type) {}

    struct Init {
        double mean = 0;
        double standardDeviation = 0;  ///< normal; 0 gives the mean everywhere
        bool decay = true;
        bool projection = false;
        bool buffer = false;
    };
    Parameter& add(const std::string& name, const Shape& shape, const Init& init);

    /// While it lives, names that are added get `prefix` in front.
    class Scope {
    public:
        Scope(ParameterStore& store, std::string prefix)
            : m_store(store), m_before(std::exchange(store.m_prefix, store.m_prefix + prefix)) {}
        ~Scope() { m_store.m_prefix = m_before; }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

    private:
        ParameterStore& m_store;
        std::string m_before;
    };

    std::deque<Parameter>& all() { return m_parameters; }
    const std::deque<Parameter>& all() const { return m_parameters; }
    Parameter* find(std::string_view name);
    std::int64_t elements() const;
    DType type() const { return m_type; }
    std::uint64_t seed() const { return m_seed; }
    /// Sets all gradients to zero.
    void clearGradients();

private:
    std::uint64_t m_seed;
    DType m_type;
    std::string m_prefix;
    Arena m_arena;
    std::deque<Parameter> m_parameters;  // stable addresses
};

}  // namespace linscope

#pragma once

#include "core/tensor/tensor.h"

namespace linscope {

class Tape;

/// Memory for what is known of a gradient beside it, given by whoever lets the memory around it go
/// (core/autograd/recompute.h).
struct GradientRoom {
    Tensor rounded, sums;
};

/// What the tape keeps of one value; lives in the tape's arena.
struct VariableState {
    Tape* tape = nullptr;
    Tensor value;
    Tensor gradient;  ///< of the value's shape and type; made when first asked for
    // Both in bfloat16, where they have been made (core/cuda/rounded.h). Whoever writes the gradient takes its copy and
    // sums away.
    Tensor rounded, roundedGradient;
    Tensor gradientSums;  ///< rows [·,C] whose sum is that of the gradient's, where its writer had them at hand
    /// For this gradient's, and for those of the next one that comes; null: anywhere.
    const GradientRoom *room = nullptr, *spare = nullptr;
    bool needsGradient = false;
    bool hasGradient = false;  ///< something has been written to `gradient`
};

/// A value on a tape: a handle that is copied freely and valid until the tape is reset.
class Variable {
public:
    Variable() = default;
    explicit Variable(VariableState* state) : m_state(state) {}

    explicit operator bool() const { return m_state != nullptr; }
    Tape& tape() const { return *m_state->tape; }
    const Tensor& value() const { return m_state->value; }
    const Shape& shape() const { return m_state->value.shape(); }
    DType type() const { return m_state->value.type(); }
    bool needsGradient() const { return m_state->needsGradient; }

    /// dL/d(value) once backward() has come past; empty where nothing flowed.
    Tensor gradient() const { return m_state->hasGradient ? m_state->gradient : Tensor{}; }

    /// Where a backward function writes. `accumulate` false: the memory holds nothing yet and is to be
    /// overwritten; true: what is computed is to be added. (Convention: first =, then +=.)
    struct Sink {
        Tensor tensor;
        bool accumulate;
    };
    Sink gradientSink() const;
    /// Takes over memory that nobody else reads any more as this value's gradient, in place of a copy; false where it
    /// has memory of its own, to which the gradient is to be added.
    bool adoptGradient(const Tensor& gradient) const;

    VariableState* state() const { return m_state; }

private:
    VariableState* m_state = nullptr;
};

}  // namespace linscope

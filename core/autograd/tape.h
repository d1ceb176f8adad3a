#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "core/autograd/variable.h"
#include "core/base/precision.h"
#include "core/tensor/arena.h"

namespace linscope {

/// Records operations as they are computed and plays their gradients back in reverse (reverse-mode
/// differentiation). Everything it keeps, its nodes included, is in one arena.
class Tape {
public:
    /// `precision` is what operations on the processor round factors of matrix products to; a device knows its own
    /// (DeviceContext::precision()).
    explicit Tape(Arena& arena, bool recording = true, Precision precision = Precision::Single)
        : m_arena(arena), m_recording(recording), m_precision(precision) {}
    Tape(const Tape&) = delete;
    Tape& operator=(const Tape&) = delete;

    /// A value from outside. With `gradient` (of the same shape), what flows to it is added there.
    Variable constant(const Tensor& value);
    Variable leaf(const Tensor& value, const Tensor& gradient);

    /// The result of an operation on `inputs`: uninitialised memory of that shape and type.
    template <typename... Inputs>
    Variable result(const Shape& shape, DType type, const Inputs&... inputs) {
        return make(m_arena.tensor(shape, type), (inputs.needsGradient() || ...));
    }
    /// A value on memory that is there already.
    Variable make(const Tensor& value, bool needsGradient);

    /// Appends how `output`'s gradient goes back to the inputs that `function` has captured. It is called
    /// once during backward(), only when output has a gradient, and must be trivially destructible.
    template <typename Function>
    void record(const Variable& output, Function&& function) {
        if (!m_recording || !output.needsGradient()) return;
        using Stored = std::decay_t<Function>;
        struct Holder : Node {
            Stored function;
            explicit Holder(Stored f) : function(std::move(f)) {}
        };
        static_assert(std::is_trivially_destructible_v<Stored>);
        Holder* node = new (m_arena.allocate(sizeof(Holder))) Holder(std::forward<Function>(function));
        node->output = output.state();
        node->run = [](Node* self) { static_cast<Holder*>(self)->function(); };
        node->previous = m_last;
        m_last = node;
    }

    /// Sets dL/d(output) = `seed` (of output's shape and device; ones when empty) and runs the tape backwards. What a
    /// device does beside is joined at the end.
    void backward(const Variable& output, const Tensor& seed = {});

    /// The same with dL/d(output) in memory that `output` takes over, for a part of a backward pass: nothing is joined.
    void backwardFrom(const Variable& output, const Tensor& gradient);

    bool recording() const { return m_recording; }
    Arena& arena() const { return m_arena; }
    Precision precision() const { return m_precision; }

private:
    struct Node {
        VariableState* output = nullptr;
        void (*run)(Node*) = nullptr;
        Node* previous = nullptr;
    };
    /// Calls the nodes' functions, the newest first.
    void runBack();

    Arena& m_arena;
    Node* m_last = nullptr;
    bool m_recording;
    Precision m_precision;
};

}  // namespace linscope

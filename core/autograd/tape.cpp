#include "core/autograd/tape.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/cuda/context.h"

namespace linscope {

Variable::Sink Variable::gradientSink() const {
    VariableState& state = *m_state;
    if (state.gradient.empty()) state.gradient = state.tape->arena().tensor(state.value.shape(), state.value.type());
    const bool accumulate = state.hasGradient;
    state.roundedGradient = state.gradientSums = {};
    state.hasGradient = true;
    return {state.gradient, accumulate};
}

bool Variable::adoptGradient(const Tensor& gradient) const {
    VariableState& state = *m_state;
    if (state.hasGradient || !state.gradient.empty()) return false;
    if (DeviceContext* device = state.tape->arena().context(); device != nullptr) device->claim(gradient);
    state.gradient = gradient.reshaped(state.value.shape());
    state.hasGradient = true;
    return true;
}

Variable Tape::make(const Tensor& value, bool needsGradient) {
    auto* state = m_arena.make<VariableState>();
    state->tape = this;
    state->value = value;
    state->needsGradient = needsGradient && m_recording;
    return Variable(state);
}

Variable Tape::constant(const Tensor& value) {
    return make(value, false);
}

Variable Tape::leaf(const Tensor& value, const Tensor& gradient) {
    require(gradient.shape() == value.shape() && gradient.type() == value.type(), "leaf",
            "a gradient of shape {}, but got {}", value.shape().text(), gradient.shape().text());
    Variable variable = make(value, true);
    variable.state()->gradient = gradient;
    variable.state()->hasGradient = true;
    return variable;
}

void Tape::backward(const Variable& output, const Tensor& seed) {
    require(m_recording, "backward", "a recording tape, but this one does not record");
    require(seed.empty() || (seed.shape() == output.shape() && seed.type() == output.type() &&
                             seed.onDevice() == output.value().onDevice()),
            "backward", "a gradient {} of the output's type and place, but got {}", output.shape().text(),
            seed.shape().text());
    const auto sink = output.gradientSink();
    if (DeviceContext* device = m_arena.context(); device != nullptr) {
        const auto bytes = static_cast<std::size_t>(sink.tensor.bytes());
        if (seed.empty())
            device->fillNumbers(sink.tensor.onDeviceAs<float>(), 1.0f, sink.tensor.elements());
        else
            device->copy(sink.tensor.raw(), seed.raw(), bytes);
        runBack();
        device->join();
        return;
    }
    dispatchReal(output.type(), [&](auto zero) {
        using Real = decltype(zero);
        auto gradient = sink.tensor.span<Real>();
        if (seed.empty())
            std::ranges::fill(gradient, Real(1));
        else
            std::ranges::copy(seed.span<Real>(), gradient.begin());
    });
    runBack();
}

void Tape::backwardFrom(const Variable& output, const Tensor& gradient) {
    require(m_recording, "backward", "a recording tape, but this one does not record");
    require(output.adoptGradient(gradient), "backward", "an output without a gradient yet, but it has one");
    runBack();
}

void Tape::runBack() {
    for (Node* node = m_last; node != nullptr; node = node->previous)
        if (node->output->hasGradient) node->run(node);
    m_last = nullptr;
}

}  // namespace linscope

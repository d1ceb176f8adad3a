#include "core/train/device_step.h"

#include <algorithm>
#include <cstring>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/cross_entropy.h"

namespace linscope {
namespace {

// Tasks whose batches differ in the number of places keep a graph for each of so many numbers; others run without.
constexpr std::size_t kMostGraphs = 16;
constexpr std::size_t kAlignment = 256;

template <typename T>
void checkBelow(std::span<const T> values, std::int64_t bound, const char* what) {
    for (const T value : values)
        require(value >= 0 && value < bound, "cuda", "{} below {}, but got {}", what, bound, value);
}

template <typename T>
std::span<const T> spanAt(const std::byte* memory, std::size_t offset, std::int64_t count) {
    return {reinterpret_cast<const T*>(memory + offset), static_cast<std::size_t>(count)};
}

}  // namespace

DeviceStep::DeviceStep(DeviceContext& context, Arena& arena, const Transformer& model, ParameterStore& parameters,
                       const OptimizerOptions& optimizer)
    : m_context(context), m_arena(arena), m_model(model), m_parameters(context, parameters), m_optimizer(optimizer) {
    m_pinnedResult = static_cast<StepResult*>(context.allocatePinned(sizeof(StepResult)));
    m_result = static_cast<StepResult*>(context.allocate(sizeof(StepResult)));
}

DeviceStep::~DeviceStep() {
    releaseStaging();
    m_context.release(m_result);
    m_context.releasePinned(m_pinnedResult);
}

void DeviceStep::releaseStaging() {
    if (m_capacity == 0) return;
    m_context.releasePinned(m_pinned);
    m_context.release(m_staging);
    m_capacity = 0;
}

DeviceStep::Form DeviceStep::formOf(const Batch& batch) {
    return {batch.batch, batch.length, static_cast<std::int64_t>(batch.selected.size()), batch.keep.empty() ? 0 : 1};
}

DeviceStep::Layout DeviceStep::layoutOf(const Form& form) {
    const auto [B, T, N, padded] = form;
    Layout layout{};
    std::size_t at = 0;
    const auto take = [&](std::size_t bytes) {
        const std::size_t begin = at;
        at = (at + bytes + kAlignment - 1) / kAlignment * kAlignment;
        return begin;
    };
    const auto places = static_cast<std::size_t>(B * T), chosen = static_cast<std::size_t>(N);
    layout.numbers = take(sizeof(AdamwNumbers));
    layout.tokens = take(places * sizeof(std::int32_t));
    layout.targets = take(chosen * sizeof(std::int32_t));
    layout.selected = take(chosen * sizeof(std::int64_t));
    layout.keep = take(padded != 0 ? places * sizeof(float) : 0);
    layout.bytes = at;
    return layout;
}

void DeviceStep::fillStaging(const Batch& batch, const Layout& layout) {
    // The kernels trust what they read: this is the one place where it is checked.
    checkBelow<std::int32_t>(batch.tokens, m_model.shape().vocabulary, "tokens");
    checkBelow<std::int32_t>(batch.targets, m_model.shape().outputs, "targets");
    checkBelow<std::int64_t>(batch.selected, batch.batch * batch.length, "places");
    if (layout.bytes > m_capacity) {
        m_captured.clear();
        releaseStaging();
        m_pinned = static_cast<std::byte*>(m_context.allocatePinned(layout.bytes));
        m_staging = static_cast<std::byte*>(m_context.allocate(layout.bytes));
        m_capacity = layout.bytes;
    }
    const auto put = [&](std::size_t offset, const auto& values) {
        if (!values.empty()) std::memcpy(m_pinned + offset, values.data(), values.size() * sizeof(values[0]));
    };
    put(layout.tokens, batch.tokens);
    put(layout.targets, batch.targets);
    put(layout.selected, batch.selected);
    put(layout.keep, batch.keep);
}

ModelInputs DeviceStep::inputsOf(const Form& form, const Layout& layout) const {
    const auto [B, T, N, padded] = form;
    return {.input = {.batch = B,
                      .length = T,
                      .tokens = spanAt<std::int32_t>(m_staging, layout.tokens, B * T),
                      .selected = spanAt<std::int64_t>(m_staging, layout.selected, N),
                      .keep = spanAt<float>(m_staging, layout.keep, padded != 0 ? B * T : 0)},
            .targets = spanAt<std::int32_t>(m_staging, layout.targets, N)};
}

ModelInputs DeviceStep::stage(const Batch& batch) {
    const Form form = formOf(batch);
    const Layout layout = layoutOf(form);
    fillStaging(batch, layout);
    m_parameters.currentOnDevice();
    m_context.toDevice(m_staging, m_pinned, layout.bytes);
    return inputsOf(form, layout);
}

StepResult DeviceStep::read(const Tensor& loss, const Tensor& accuracy) {
    m_context.toHost(&m_pinnedResult->loss, loss.raw(), sizeof(float));
    m_context.toHost(&m_pinnedResult->accuracy, accuracy.raw(), sizeof(float));
    return finish();
}

void DeviceStep::run(const Form& form) {
    const Layout layout = layoutOf(form);
    const ModelInputs inputs = inputsOf(form, layout);
    m_context.toDevice(m_staging, m_pinned, layout.bytes);
    m_arena.reset();
    m_parameters.clearGradients();
    Tape tape(m_arena);
    const CrossEntropy entropy = crossEntropy(m_model.forward(tape, inputs.input), inputs.targets);
    tape.backward(entropy.loss);
    const auto* numbers = reinterpret_cast<const AdamwNumbers*>(m_staging + layout.numbers);
    cuda::adamwStep(m_arena, m_parameters, m_optimizer, numbers, entropy.loss.value(), entropy.accuracyOnDevice,
                    m_result);
    m_context.toHost(m_pinnedResult, m_result, sizeof(StepResult));
}

void DeviceStep::begin(const Batch& batch, double rate, std::int64_t step) {
    const Form form = formOf(batch);
    const Layout layout = layoutOf(form);
    fillStaging(batch, layout);
    const AdamwNumbers numbers = adamwNumbers(m_optimizer, rate, step);
    std::memcpy(m_pinned + layout.numbers, &numbers, sizeof(numbers));
    m_parameters.currentOnDevice();

    m_context.startClock();
    if (m_arena.heapAllocations() != m_allocations) {  // tensors are elsewhere since the graphs were captured
        m_captured.clear();
        m_allocations = m_arena.heapAllocations();
    }
    if (m_captured.size() >= kMostGraphs && !m_captured.contains(form)) {
        run(form);
    } else if (Captured& captured = m_captured[form]; !captured.planned) {
        run(form);
        m_arena.reset();  // here its blocks become one, for which the device has to have finished
        if (m_arena.heapAllocations() != m_allocations) {
            m_captured.clear();
            m_allocations = m_arena.heapAllocations();
        }
        m_captured[form].planned = true;
    } else {
        if (!captured.graph) captured.graph = m_context.capture([&] { run(form); });
        m_context.replay(*captured.graph);
    }
    m_context.stopClock();
    m_parameters.stepped();
}

StepResult DeviceStep::finish() {
    m_context.wait();
    return *m_pinnedResult;
}

void DeviceStep::trainedChanged() {
    m_captured.clear();
    m_parameters.refreshChunks();
}

}  // namespace linscope

#include "core/train/lane.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/cuda/context.h"
#include "core/ops/cross_entropy.h"
#include "core/optim/adamw.h"

namespace linscope {
namespace {

using Clock = std::chrono::steady_clock;

bool allFinite(const Tensor& tensor) {
    // 0·x is 0 for every finite x and NaN for all others: one sum that vectorises.
    double sum = 0;
    dispatchReal(tensor.type(), [&](auto zero) {
        using T = decltype(zero);
        T part[16] = {};
        const auto values = tensor.span<T>();
        std::size_t i = 0;
        for (; i + 16 <= values.size(); i += 16)
            for (std::size_t j = 0; j < 16; ++j) part[j] += values[i + j] * T(0);
        for (; i < values.size(); ++i) part[0] += values[i] * T(0);
        for (T x : part) sum += double(x);
    });
    return sum == 0;
}

/// The tensor in the processor's memory: itself, or a copy in `arena` of one on `device`, which is waited for.
Tensor onHost(const Tensor& tensor, DeviceContext* device, Arena& arena) {
    if (!tensor.onDevice()) return tensor;
    const Tensor copy = arena.tensor(tensor.shape(), tensor.type());
    device->toHost(copy.raw(), tensor.raw(), static_cast<std::size_t>(copy.bytes()));
    device->wait();
    if (copy.type() != DType::BF16) return copy;
    const Tensor wide = arena.tensor(tensor.shape());
    for (std::int64_t i = 0; i < copy.elements(); ++i)
        wide.as<float>()[i] = std::bit_cast<float>(static_cast<std::uint32_t>(copy.as<Bf16>()[i].bits) << 16);
    return wide;
}

/// Copies Q, K and V of the first samples from [B,T,H,D] to [S,H,T,D].
class SnapshotObserver : public TensorObserver {
public:
    SnapshotObserver(Snapshot& snapshot, DeviceContext* device) : m_snapshot(snapshot), m_device(device) {}
    void onTensor(int layer, std::string_view name, const Tensor& tensor) override {
        if (name == "query")
            m_snapshot.layers[static_cast<std::size_t>(layer)].q = copy(tensor);
        else if (name == "key")
            m_snapshot.layers[static_cast<std::size_t>(layer)].k = copy(tensor);
        else if (name == "value")
            m_snapshot.layers[static_cast<std::size_t>(layer)].v = copy(tensor);
    }

private:
    std::vector<float> copy(const Tensor& x) const {
        const std::int64_t S = m_snapshot.samples, H = m_snapshot.heads, T = m_snapshot.length,
                           D = m_snapshot.headWidth;
        std::vector<float> result(static_cast<std::size_t>(S * H * T * D));
        Arena arena;
        const float* in = onHost(x, m_device, arena).as<float>();
        for (std::int64_t s = 0; s < S; ++s)
            for (std::int64_t h = 0; h < H; ++h)
                for (std::int64_t t = 0; t < T; ++t)
                    std::copy_n(in + ((s * T + t) * H + h) * D, D, result.begin() + ((s * H + h) * T + t) * D);
        return result;
    }
    Snapshot& m_snapshot;
    DeviceContext* m_device;
};

/// Remembers the first tensor of a forward pass that is not finite.
class FiniteObserver : public TensorObserver {
public:
    explicit FiniteObserver(DeviceContext* device) : m_device(device) {}
    void onTensor(int layer, std::string_view name, const Tensor& tensor) override {
        Arena arena;
        if (!m_first.empty() || allFinite(onHost(tensor, m_device, arena))) return;
        m_first = layer < 0 ? std::string(name) : fmt::format("blocks.{}.{}", layer, name);
    }
    const std::string& first() const { return m_first; }

private:
    DeviceContext* m_device;
    std::string m_first;
};

}  // namespace

Lane::Lane(const Experiment& experiment, std::size_t index, const Task& task, Device device)
    : m_config(experiment.lanes[index]),
      m_index(static_cast<int>(index)),
      m_optimizer(experiment.optimizer),
      m_totalSteps(experiment.steps),
      m_position(positionOf(experiment.model.position)),
      m_precision(precisionOf(experiment.model.precision)),
      m_parameters(static_cast<std::uint64_t>(experiment.seed)),
      m_context(device == Device::Cuda ? std::make_unique<DeviceContext>() : nullptr),
      m_arena(m_context.get()),
      m_peakLearningRate(experiment.optimizer.learningRate) {
    const ModelOptions& model = experiment.model;
    require(model.width % model.heads == 0, "model", "heads must divide width, but width is {} and heads {}",
            model.width, model.heads);
    require(m_context || m_precision != Precision::Tf32, "model.precision",
            "\"fp32\" or \"bf16\", which are all that the processor has, but it is \"{}\"; use --device cuda",
            model.precision);
    if (m_context) {
        m_context->setPrecision(m_precision);
        m_context->setDeterministic(model.deterministic);
    }
    const MechanismInfo& mechanism = findMechanism(m_config.mechanism);
    requireForm(mechanism, m_config.options, experiment.attentionSizes(), device);
    m_mechanism = mechanism.create(m_config.options, experiment.attentionSizes(), m_parameters);
    const ModelShape shape{task.vocabulary(), task.outputs(), task.length(), findTask(experiment.task.name).pooled};
    m_model = std::make_unique<Transformer>(model, shape, *m_mechanism, m_parameters);
    if (m_context) m_device = std::make_unique<DeviceStep>(*m_context, m_arena, *m_model, m_parameters, m_optimizer);
}

Lane::~Lane() = default;

ModelInputs Lane::inputsOf(const Batch& batch) {
    if (m_device) return m_device->stage(batch);
    return {.input = {.batch = batch.batch,
                      .length = batch.length,
                      .tokens = batch.tokens,
                      .selected = batch.selected,
                      .keep = batch.keep},
            .targets = batch.targets};
}

void Lane::begin(const Batch& batch, std::int64_t step) {
    m_result = {};
    m_result.learningRate = scheduledRate(m_optimizer, m_peakLearningRate, step, m_totalSteps);
    if (m_device)
        m_device->begin(batch, m_result.learningRate, step);
    else
        stepHere(batch, step);
}

void Lane::stepHere(const Batch& batch, std::int64_t step) {
    const auto start = Clock::now();
    forwardAndBackwardHere(batch);
    if (std::isfinite(m_result.gradientNorm)) {
        const double clip = m_optimizer.clip;
        const double factor = clip > 0 && m_result.gradientNorm > clip ? clip / m_result.gradientNorm : 1.0;
        adamwStep(m_parameters, m_optimizer, m_result.learningRate, step, factor);
    }
    m_arena.reset();  // after the first step, here is where its blocks become one
    countTokens(batch, std::chrono::duration<double>(Clock::now() - start).count());
}

LaneStep Lane::gradients(const Batch& batch) {
    require(!m_device, "lane", "a lane on the processor, but \"{}\" is on {}", m_config.name, nameOf(device()));
    m_result = {};
    forwardAndBackwardHere(batch);
    m_arena.reset();
    return m_result;
}

void Lane::forwardAndBackwardHere(const Batch& batch) {
    m_arena.reset();
    m_parameters.clearGradients();
    Tape tape(m_arena, true, m_precision);
    const ModelInputs inputs = inputsOf(batch);
    const CrossEntropy entropy = crossEntropy(m_model->forward(tape, inputs.input), inputs.targets);
    m_result.loss = static_cast<double>(entropy.loss.value().as<float>()[0]);
    m_result.accuracy = entropy.accuracy;
    if (std::isfinite(m_result.loss)) {
        tape.backward(entropy.loss);
        m_result.gradientNorm = gradientNorm(m_parameters);
    } else {
        m_result.gradientNorm = std::numeric_limits<double>::quiet_NaN();
    }
}

LaneStep Lane::finish(const Batch& batch) {
    if (m_device) {
        const StepResult result = m_device->finish();
        m_result.loss = static_cast<double>(result.loss);
        m_result.accuracy = static_cast<double>(result.accuracy);
        m_result.gradientNorm = std::isfinite(m_result.loss) ? static_cast<double>(result.gradientNorm)
                                                             : std::numeric_limits<double>::quiet_NaN();
        countTokens(batch, m_device->milliseconds() / 1e3);
    }
    if (!std::isfinite(m_result.gradientNorm)) setState(LaneState::Diverged, firstNotFinite(batch));
    return m_result;
}

void Lane::countTokens(const Batch& batch, double seconds) {
    m_result.milliseconds = seconds * 1e3;
    m_result.tokensPerSecond = static_cast<double>(batch.batch * batch.length) / seconds;
    m_result.memoryBytes =
        static_cast<double>(m_arena.peakBytes()) + 4.0 * 4.0 * static_cast<double>(m_parameters.elements());
}

LaneStep Lane::evaluate(const Batch& batch) {
    m_arena.reset();
    Tape tape(m_arena, false, m_precision);
    const ModelInputs inputs = inputsOf(batch);
    const CrossEntropy entropy = crossEntropy(m_model->forward(tape, inputs.input), inputs.targets);
    LaneStep result;
    if (m_device) {
        const StepResult read = m_device->read(entropy.loss.value(), entropy.accuracyOnDevice);
        result.loss = static_cast<double>(read.loss);
        result.accuracy = static_cast<double>(read.accuracy);
        return result;
    }
    result.loss = static_cast<double>(entropy.loss.value().as<float>()[0]);
    result.accuracy = entropy.accuracy;
    return result;
}

std::shared_ptr<Snapshot> Lane::snapshot(const Batch& batch, std::int64_t samples, std::int64_t step) {
    auto snapshot = std::make_shared<Snapshot>();
    const AttentionSizes& sizes = m_mechanism->sizes();
    snapshot->step = step;
    snapshot->lane = m_index;
    snapshot->mechanism = m_config.mechanism;
    snapshot->options = m_config.options;
    snapshot->causal = sizes.causal;
    snapshot->position = m_position;
    snapshot->samples = std::min(samples, batch.batch);
    snapshot->heads = sizes.heads;
    snapshot->length = batch.length;
    snapshot->headWidth = sizes.headWidth;
    snapshot->tokens.assign(batch.tokens.begin(), batch.tokens.begin() + snapshot->samples * batch.length);
    snapshot->layers.resize(static_cast<std::size_t>(sizes.layers));
    snapshot->projections = projections();
    snapshot->parameters = attentionParameters();
    SnapshotObserver observer(*snapshot, m_context.get());
    Batch part{.batch = snapshot->samples, .length = batch.length, .tokens = snapshot->tokens, .selected = {0}};
    if (!batch.keep.empty())
        part.keep.assign(batch.keep.begin(), batch.keep.begin() + snapshot->samples * batch.length);
    m_arena.reset();
    Tape tape(m_arena, false, m_precision);
    Transformer::Input input = inputsOf(part).input;
    input.observer = &observer;
    m_model->forward(tape, input);
    if (m_context) m_context->wait();
    return snapshot;
}

TokenDecoder Lane::startDecoding() const {
    parameters();  // decoding is the processor's
    return {*m_model, builtFor()};
}

std::optional<std::int64_t> Lane::builtFor() const {
    const bool ends = m_model->placesEnd() || findMechanism(m_config.mechanism).traits.fixedLength;
    return ends ? std::optional(m_mechanism->sizes().length) : std::nullopt;
}

std::string Lane::firstNotFinite(const Batch& batch) {
    // In the order in which a step computes: parameters, then activations, then gradients.
    if (m_device) m_device->parameters().currentOnHost();
    for (const Parameter& p : m_parameters.all())
        if (!allFinite(p.value)) return p.name + " (value)";
    std::string gradient;
    for (const Parameter& p : m_parameters.all())
        if (gradient.empty() && !allFinite(p.gradient)) gradient = p.name + " (gradient)";
    m_arena.reset();
    Tape tape(m_arena, false, m_precision);
    FiniteObserver observer(m_context.get());
    Transformer::Input input = inputsOf(batch).input;
    input.observer = &observer;
    m_model->forward(tape, input);
    if (m_context) m_context->wait();
    if (!observer.first().empty()) return observer.first() + " (activation)";
    return gradient.empty() ? "loss" : gradient;
}

std::string Lane::beforeStep(std::int64_t step) {
    std::string change = m_mechanism->beforeStep(step);
    if (m_device && !change.empty()) m_device->parameters().uploadBuffers();
    return change;
}

std::vector<Projection> Lane::projections() const {
    parameters();
    return m_mechanism->projections();
}

ParameterStore& Lane::parameters() {
    if (m_device) {
        m_device->parameters().currentOnHost();
        m_device->parameters().changedOnHost();
    }
    return m_parameters;
}

const ParameterStore& Lane::parameters() const {
    if (m_device) m_device->parameters().currentOnHost();
    return m_parameters;
}

void Lane::setState(LaneState state, std::string message) {
    m_state = state;
    m_message = std::move(message);
}

void Lane::fail(std::string message) {
    setState(LaneState::Failed, std::move(message));
    if (!m_device) return;
    try {
        m_device->parameters().currentOnHost();
    } catch (const Error& error) {
        m_message += fmt::format("; then its parameters could not be read: {}", error.what());
    }
    m_device.reset();
}

void Lane::setProjectionsFrozen(bool frozen) {
    for (Parameter& p : m_parameters.all())
        if (p.projection) p.frozen = frozen;
    if (m_device) m_device->trainedChanged();
}

bool Lane::projectionsTrainable() const {
    return std::ranges::any_of(m_parameters.all(), [](const Parameter& p) { return p.projection && !p.buffer; });
}

bool Lane::projectionsFrozen() const {
    return std::ranges::any_of(m_parameters.all(), [](const Parameter& p) { return p.projection && p.frozen; });
}

}  // namespace linscope

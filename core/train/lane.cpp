#include "core/train/lane.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/autograd/tape.h"
#include "core/base/error.h"
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

/// Copies Q, K and V of the first samples from [B,T,H,D] to [S,H,T,D].
class SnapshotObserver : public TensorObserver {
public:
    explicit SnapshotObserver(Snapshot& snapshot) : m_snapshot(snapshot) {}
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
        const float* in = x.as<float>();
        for (std::int64_t s = 0; s < S; ++s)
            for (std::int64_t h = 0; h < H; ++h)
                for (std::int64_t t = 0; t < T; ++t)
                    std::copy_n(in + ((s * T + t) * H + h) * D, D, result.begin() + ((s * H + h) * T + t) * D);
        return result;
    }
    Snapshot& m_snapshot;
};

/// Remembers the first tensor of a forward pass that is not finite.
class FiniteObserver : public TensorObserver {
public:
    void onTensor(int layer, std::string_view name, const Tensor& tensor) override {
        if (!m_first.empty() || allFinite(tensor)) return;
        m_first = layer < 0 ? std::string(name) : fmt::format("blocks.{}.{}", layer, name);
    }
    const std::string& first() const { return m_first; }

private:
    std::string m_first;
};

}  // namespace

Lane::Lane(const Experiment& experiment, std::size_t index, const Task& task)
    : m_config(experiment.lanes[index]),
      m_index(static_cast<int>(index)),
      m_optimizer(experiment.optimizer),
      m_totalSteps(experiment.steps),
      m_position(positionOf(experiment.model.position)),
      m_parameters(static_cast<std::uint64_t>(experiment.seed)),
      m_peakLearningRate(experiment.optimizer.learningRate) {
    const ModelOptions& model = experiment.model;
    require(model.width % model.heads == 0, "model", "heads must divide width, but width is {} and heads {}",
            model.width, model.heads);
    m_mechanism = findMechanism(m_config.mechanism).create(m_config.options, experiment.attentionSizes(), m_parameters);
    const ModelShape shape{task.vocabulary(), task.outputs(), task.length(), findTask(experiment.task.name).pooled};
    m_model = std::make_unique<Transformer>(model, shape, *m_mechanism, m_parameters);
}

Variable Lane::logitsOf(Tape& tape, const Batch& batch, TensorObserver* observer) const {
    return m_model->forward(tape, {.batch = batch.batch,
                                   .length = batch.length,
                                   .tokens = batch.tokens,
                                   .selected = batch.selected,
                                   .keep = batch.keep,
                                   .observer = observer});
}

LaneStep Lane::step(const Batch& batch, std::int64_t step) {
    const auto start = Clock::now();
    LaneStep result;
    m_arena.reset();
    m_parameters.clearGradients();
    Tape tape(m_arena);
    const Variable logits = logitsOf(tape, batch);
    const CrossEntropy entropy = crossEntropy(logits, batch.targets);
    result.loss = static_cast<double>(entropy.loss.value().as<float>()[0]);
    result.accuracy = entropy.accuracy;
    result.learningRate = scheduledRate(m_optimizer, m_peakLearningRate, step, m_totalSteps);
    if (std::isfinite(result.loss)) {
        tape.backward(entropy.loss);
        result.gradientNorm = gradientNorm(m_parameters);
    } else {
        result.gradientNorm = std::numeric_limits<double>::quiet_NaN();
    }
    if (!std::isfinite(result.gradientNorm)) {
        setState(LaneState::Diverged, firstNotFinite(batch));
    } else {
        const double clip = m_optimizer.clip;
        const double factor = clip > 0 && result.gradientNorm > clip ? clip / result.gradientNorm : 1.0;
        adamwStep(m_parameters, m_optimizer, result.learningRate, step, factor);
    }
    m_arena.reset();  // after the first step, here is where its blocks become one
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    result.milliseconds = seconds * 1e3;
    result.tokensPerSecond = static_cast<double>(batch.batch * batch.length) / seconds;
    result.memoryBytes =
        static_cast<double>(m_arena.peakBytes()) + 4.0 * 4.0 * static_cast<double>(m_parameters.elements());
    return result;
}

LaneStep Lane::evaluate(const Batch& batch) {
    m_arena.reset();
    Tape tape(m_arena, false);
    const Variable logits = logitsOf(tape, batch);
    const CrossEntropy entropy = crossEntropy(logits, batch.targets);
    LaneStep result;
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
    snapshot->projections = m_mechanism->projections();
    SnapshotObserver observer(*snapshot);
    m_arena.reset();
    Tape tape(m_arena, false);
    const std::int64_t first = 0;
    m_model->forward(tape, {.batch = snapshot->samples,
                            .length = batch.length,
                            .tokens = snapshot->tokens,
                            .selected = std::span(&first, 1),
                            .keep = std::span(batch.keep).subspan(0, batch.keep.empty() ? 0 : snapshot->tokens.size()),
                            .observer = &observer});
    return snapshot;
}

TokenDecoder Lane::startDecoding() const {
    const bool ends = m_model->placesEnd() || findMechanism(m_config.mechanism).traits.fixedLength;
    return {*m_model, ends ? std::optional(m_mechanism->sizes().length) : std::nullopt};
}

std::string Lane::firstNotFinite(const Batch& batch) {
    // In the order in which a step computes: parameters, then activations, then gradients.
    for (const Parameter& p : m_parameters.all())
        if (!allFinite(p.value)) return p.name + " (value)";
    std::string gradient;
    for (const Parameter& p : m_parameters.all())
        if (gradient.empty() && !allFinite(p.gradient)) gradient = p.name + " (gradient)";
    m_arena.reset();
    Tape tape(m_arena, false);
    FiniteObserver observer;
    logitsOf(tape, batch, &observer);
    if (!observer.first().empty()) return observer.first() + " (activation)";
    return gradient.empty() ? "loss" : gradient;
}

void Lane::setState(LaneState state, std::string message) {
    m_state = state;
    m_message = std::move(message);
}

void Lane::setProjectionsFrozen(bool frozen) {
    for (Parameter& p : m_parameters.all())
        if (p.projection) p.frozen = frozen;
}

bool Lane::projectionsFrozen() const {
    return std::ranges::any_of(m_parameters.all(), [](const Parameter& p) { return p.projection && p.frozen; });
}

}  // namespace linscope

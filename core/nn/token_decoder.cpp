#include "core/nn/token_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/autograd/tape.h"
#include "core/base/error.h"

namespace linscope {

namespace {

/// What is saved of a layer: the newest inputs of its short convolution, and behind them what attention remembers.
std::vector<float> numbersOf(const LayerMemory& layer) {
    std::vector<float> numbers = layer.recent;
    const std::vector<float> attention = layer.attention->save();
    numbers.insert(numbers.end(), attention.begin(), attention.end());
    return numbers;
}

}  // namespace

TokenDecoder::TokenDecoder(const Transformer& model, std::optional<std::int64_t> longest)
    : m_model(model), m_longest(longest), m_layers(model.startDecoding()) {}

void TokenDecoder::step(std::int32_t token) {
    require(!m_longest || m_place < *m_longest, "decoding", "at most {} tokens can be taken in, but one more was asked",
            m_longest.value_or(0));
    take(std::span(&token, 1));
}

void TokenDecoder::read(std::span<const std::int32_t> tokens, const std::function<void(std::size_t)>& told) {
    const auto count = static_cast<std::int64_t>(tokens.size());
    require(!m_longest || m_place + count <= *m_longest, "decoding",
            "at most {} tokens can be taken in, but {} more were asked after {}", m_longest.value_or(0), count,
            m_place);
    for (std::size_t at = 0; at < tokens.size();) {
        const auto together = std::min(tokens.size() - at, static_cast<std::size_t>(kBlock - m_place % kBlock));
        take(tokens.subspan(at, together));
        at += together;
        if (told) told(at);
    }
}

void TokenDecoder::take(std::span<const std::int32_t> tokens) {
    m_arena.reset();
    Tape tape(m_arena, false);
    const auto logits = m_model.forwardNext(tape, tokens, m_place, m_layers).value().span<float>();
    m_logits.assign(logits.begin(), logits.end());
    m_place += static_cast<std::int64_t>(tokens.size());
}

std::int64_t TokenDecoder::stateBytes() const {
    std::int64_t bytes = 0;
    for (const LayerMemory& layer : m_layers)
        bytes += static_cast<std::int64_t>(numbersOf(layer).size() * sizeof(float));
    return bytes;
}

TokenDecoder::State TokenDecoder::save() const {
    State state{.place = m_place, .layers = {}, .logits = m_logits};
    for (const LayerMemory& layer : m_layers) state.layers.push_back(numbersOf(layer));
    return state;
}

void TokenDecoder::load(const State& state) {
    require(state.layers.size() == m_layers.size(), "decoding", "a state of {} layers, but it has {}", m_layers.size(),
            state.layers.size());
    require(state.place >= 0 && (!m_longest || state.place <= *m_longest), "decoding",
            "a state of at most {} tokens, but it has {}", m_longest.value_or(0), state.place);
    for (std::size_t i = 0; i < m_layers.size(); ++i) {
        const std::span<const float> numbers(state.layers[i]);
        std::vector<float>& recent = m_layers[i].recent;
        require(numbers.size() >= recent.size(), "decoding",
                "a state of at least {} numbers in layer {}, but it has {}", recent.size(), i, numbers.size());
        m_layers[i].attention->load(numbers.subspan(recent.size()));
        std::copy_n(numbers.begin(), recent.size(), recent.begin());
    }
    m_place = state.place;
    m_logits = state.logits;
}

std::int32_t drawToken(std::span<const float> logits, const Sampling& sampling, Random& random) {
    require(!logits.empty(), "sampling", "logits were required, but no token has been read");
    require(std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }), "sampling",
            "finite logits were required, but the model gave others");
    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto likelier = [&](std::int32_t a, std::int32_t b) {
        const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
        return x != y ? x > y : a < b;
    };
    const auto most =
        std::min<std::size_t>(order.size(), sampling.topK > 0 ? static_cast<std::size_t>(sampling.topK) : order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(), likelier);
    if (sampling.temperature <= 0) return order.front();
    const double greatest = logits[static_cast<std::size_t>(order.front())];
    std::vector<double> sums(most);
    double sum = 0;
    for (std::size_t i = 0; i < most; ++i) {
        sum += std::exp((logits[static_cast<std::size_t>(order[i])] - greatest) / sampling.temperature);
        sums[i] = sum;
    }
    const double drawn = random.uniform() * sum;
    const auto found = std::upper_bound(sums.begin(), sums.end(), drawn) - sums.begin();
    return order[std::min(static_cast<std::size_t>(found), most - 1)];
}

}  // namespace linscope

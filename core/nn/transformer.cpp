#include "core/nn/transformer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/autograd/recompute.h"
#include "core/autograd/release.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/layer_norm.h"
#include "core/ops/residual.h"
#include "core/ops/rotary.h"
#include "core/ops/short_convolution.h"

namespace linscope {
namespace {

constexpr double kDeviation = 0.02;

/// The place t of Vaswani et al. 2017, §3.5: sine and cosine of t·10000^(−2c/C), times the deviation that learned
/// places begin with. row [C]
template <typename T>
void fillSinusoid(T* row, std::int64_t t, std::int64_t width) {
    for (std::int64_t c = 0; c < width; ++c) {
        const double pair = static_cast<double>(c / 2 * 2);
        const double angle = static_cast<double>(t) * std::pow(10000.0, -pair / static_cast<double>(width));
        row[c] = static_cast<T>(kDeviation * std::numbers::sqrt2 * (c % 2 == 0 ? std::sin(angle) : std::cos(angle)));
    }
}

/// The places `first`, `first` + 1, … in the rows of table [·,C].
void fillSinusoids(const Tensor& table, std::int64_t first) {
    const std::int64_t width = table.shape()[1];
    dispatchReal(table.type(), [&](auto zero) {
        using T = decltype(zero);
        parallelFor(table.shape()[0], 16, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) fillSinusoid(table.as<T>() + t * width, first + t, width);
        });
    });
}

void show(TensorObserver* observer, int layer, std::string_view name, const Variable& x) {
    if (observer != nullptr) observer->onTensor(layer, name, x.value());
}

}  // namespace

Transformer::Transformer(const ModelOptions& options, const ModelShape& shape, const Mechanism& mechanism,
                         ParameterStore& parameters)
    : m_options(options),
      m_shape(shape),
      m_position(positionOf(options.position)),
      m_meanPooled(shape.pooled && options.pool == "mean"),
      m_mechanism(mechanism) {
    const std::int64_t width = options.width, hidden = options.width * options.mlpRatio;
    const double residual = kDeviation / std::sqrt(2.0 * static_cast<double>(options.layers));
    const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in, double deviation) {
        return Linear{&parameters.add(name + ".weight", {out, in}, {.standardDeviation = deviation}),
                      &parameters.add(name + ".bias", {out}, {.decay = false})};
    };
    const auto norm = [&](const std::string& name) {
        return Linear{&parameters.add(name + ".weight", {width}, {.mean = 1, .decay = false}),
                      &parameters.add(name + ".bias", {width}, {.decay = false})};
    };
    m_tokens = &parameters.add("embedding.token", {shape.vocabulary, width},
                               {.standardDeviation = kDeviation, .decay = false});
    if (m_position == Position::Learned)
        m_positions = &parameters.add("embedding.position", {shape.length, width},
                                      {.standardDeviation = kDeviation, .decay = false});
    if (m_position == Position::Sinusoidal) {
        m_positions = &parameters.add("embedding.sinusoids", {shape.length, width}, {.decay = false, .buffer = true});
        fillSinusoids(m_positions->value, 0);
    }
    for (std::int64_t layer = 0; layer < options.layers; ++layer) {
        const std::string prefix = fmt::format("blocks.{}.", layer);
        Block& block = m_blocks.emplace_back();
        if (const std::int64_t taps = options.shortConvolution; taps > 0)
            block.taps =
                &parameters.add(prefix + "convolution", {taps, width},
                                {.standardDeviation = 1 / std::sqrt(3.0 * static_cast<double>(taps)), .decay = false});
        block.norm1 = norm(prefix + "norm1");
        block.query = linear(prefix + "attention.query", width, width, kDeviation);
        block.key = linear(prefix + "attention.key", width, width, kDeviation);
        block.value = linear(prefix + "attention.value", width, width, kDeviation);
        block.output = linear(prefix + "attention.output", width, width, residual);
        block.norm2 = norm(prefix + "norm2");
        block.up = linear(prefix + "mlp.up", hidden, width, kDeviation);
        block.down = linear(prefix + "mlp.down", width, hidden, residual);
    }
    m_norm = norm("norm");
    m_head = linear("head", shape.outputs, width, kDeviation);
}

template <typename Attend>
Variable Transformer::block(const Block& b, const Variable& x, Attend&& attend) const {
    Tape& tape = x.tape();
    const auto layerOf = [&](const Linear& l) { return Layer{leafOf(tape, *l.weight), leafOf(tape, *l.bias)}; };
    const Shape flat = x.shape();
    const Shape heads{flat[0], flat[1], m_options.heads, m_options.width / m_options.heads};
    const Layer norm = layerOf(b.norm1);
    const Variable h = layerNorm(x, norm.weight, norm.bias, Readers::Products);
    const Readers readers = m_mechanism.takesBf16() ? Readers::Products : Readers::Any;
    const Three qkv = linears(h, {layerOf(b.query), layerOf(b.key), layerOf(b.value)}, heads, readers);
    const Variable o = attend(qkv[0], qkv[1], qkv[2]);
    gradientsSideBySide(o, qkv);
    const Residual middle = residual(x, reshape(o, flat), layerOf(b.output), layerOf(b.norm2));
    return feedForward(middle.sum, middle.normed, layerOf(b.up), layerOf(b.down));
}

Variable Transformer::head(const Variable& chosen) const {
    Tape& tape = chosen.tape();
    return linear(layerNorm(chosen, leafOf(tape, *m_norm.weight), leafOf(tape, *m_norm.bias), Readers::Products),
                  leafOf(tape, *m_head.weight), leafOf(tape, *m_head.bias));
}

Variable Transformer::wholeBlock(int layer, Variable x, const Input& input) const {
    const Block& own = m_blocks[static_cast<std::size_t>(layer)];
    if (own.taps != nullptr)
        x = shortConvolution(x, leafOf(x.tape(), *own.taps), {.centred = !m_options.causal(), .keep = input.keep});
    x = block(own, x, [&](Variable q, Variable k, const Variable& v) {
        if (m_position == Position::Rotary) {
            q = rotary(q);
            k = rotary(k);
        }
        show(input.observer, layer, "query", q);
        show(input.observer, layer, "key", k);
        show(input.observer, layer, "value", v);
        const Variable o = m_mechanism.forward({.layer = layer, .q = q, .k = k, .v = v, .keep = input.keep});
        show(input.observer, layer, "attention", o);
        return o;
    });
    show(input.observer, layer, "block", x);
    return x;
}

Variable Transformer::forward(Tape& tape, const Input& input) const {
    const Variable positions = m_positions != nullptr ? leafOf(tape, *m_positions) : Variable{};
    Variable x = embed(input.tokens, input.batch, input.length, leafOf(tape, *m_tokens), positions);
    show(input.observer, -1, "embedding", x);
    for (std::size_t i = 0; i < m_blocks.size(); ++i) {
        const auto whole = [this, i, input](const Variable& in) { return wholeBlock(static_cast<int>(i), in, input); };
        // An observer sees each tensor once.
        x = m_options.activationCheckpointing && input.observer == nullptr ? recomputed(x, whole) : released(x, whole);
    }
    const Variable logits = head(m_meanPooled ? meanTokens(x, input.keep) : selectRows(x, input.selected));
    show(input.observer, -1, "logits", logits);
    return logits;
}

Variable Transformer::positionRows(Tape& tape, std::int64_t place, std::int64_t count) const {
    if (m_positions == nullptr) return {};
    const Tensor& table = m_positions->value;
    const std::int64_t width = table.shape()[1];
    if (m_position == Position::Sinusoidal) {
        const Tensor rows = tape.arena().tensor({count, width}, table.type());
        fillSinusoids(rows, place);
        return tape.constant(rows);
    }
    require(place + count <= table.shape()[0], "decoding",
            "learned positions end after {} tokens, but token {} was asked for; train with position \"rotary\", "
            "\"alibi\", \"sinusoidal\" or \"none\" to go on",
            table.shape()[0], place + count);
    Variable rows;
    dispatchReal(table.type(), [&](auto zero) {
        rows = tape.constant(Tensor(table.as<decltype(zero)>() + place * width, {count, width}, table.type()));
    });
    return rows;
}

std::vector<LayerMemory> Transformer::startDecoding() const {
    const std::int64_t before = std::max<std::int64_t>(m_options.shortConvolution - 1, 0);
    const auto recent = static_cast<std::size_t>(before * m_options.width);
    std::vector<LayerMemory> layers;
    for (int layer = 0; layer < static_cast<int>(m_blocks.size()); ++layer)
        layers.push_back({.attention = m_mechanism.startDecoding(layer), .recent = std::vector<float>(recent)});
    return layers;
}

Variable Transformer::forwardNext(Tape& tape, std::span<const std::int32_t> tokens, std::int64_t place,
                                  std::span<LayerMemory> layers) const {
    require(!tape.recording(), "decoding", "a tape that does not record was required, but this one does");
    require(layers.size() == m_blocks.size(), "decoding", "a memory for each of {} layers, but got {}", m_blocks.size(),
            layers.size());
    require(!tokens.empty(), "decoding", "a token at least was required, but there is none");
    const auto count = static_cast<std::int64_t>(tokens.size());
    const std::int64_t width = m_options.width, heads = m_options.heads, headWidth = width / heads;
    const Variable x = embed(tokens, 1, count, leafOf(tape, *m_tokens), positionRows(tape, place, count));
    const std::span<float> stream = x.value().span<float>();
    for (std::size_t i = 0; i < m_blocks.size(); ++i) {
        const Arena::Scratch loan(tape.arena());  // of a layer only the residual stream is left
        if (m_blocks[i].taps != nullptr)
            for (std::int64_t t = 0; t < count; ++t)
                convolveToken(stream.subspan(static_cast<std::size_t>(t * width), static_cast<std::size_t>(width)),
                              m_blocks[i].taps->value.span<float>(), layers[i].recent);
        const Variable y = block(m_blocks[i], x, [&](const Variable& q, const Variable& k, const Variable& v) {
            if (m_position == Position::Rotary)
                for (const Variable& turned : {q, k})
                    rotateTokens(turned.value().span<float>(), heads, headWidth, place);
            if (count > 1) return layers[i].attention->read(q, k, v);
            const Variable o = tape.result(q.shape(), q.type(), q);
            layers[i].attention->step(q.value().span<float>(), k.value().span<float>(), v.value().span<float>(),
                                      o.value().span<float>());
            return o;
        });
        std::ranges::copy(y.value().span<float>(), stream.begin());
    }
    return head(tape.constant(Tensor(stream.last(static_cast<std::size_t>(width)).data(), {1, width}, x.type())));
}

}  // namespace linscope

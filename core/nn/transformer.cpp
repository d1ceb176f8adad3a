#include "core/nn/transformer.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/layer_norm.h"
#include "core/ops/linear.h"
#include "core/ops/rotary.h"

namespace linscope {
namespace {

constexpr double kDeviation = 0.02;

/// Vaswani et al. 2017, §3.5: sine and cosine of t·10000^(−2c/C), times the deviation that learned places begin with.
void fillSinusoids(const Tensor& table) {
    const std::int64_t width = table.shape()[1];
    dispatchReal(table.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t t = 0; t < table.shape()[0]; ++t)
            for (std::int64_t c = 0; c < width; ++c) {
                const double pair = static_cast<double>(c / 2 * 2);
                const double angle = static_cast<double>(t) * std::pow(10000.0, -pair / static_cast<double>(width));
                table.as<T>()[t * width + c] =
                    static_cast<T>(kDeviation * std::numbers::sqrt2 * (c % 2 == 0 ? std::sin(angle) : std::cos(angle)));
            }
    });
}

void show(TensorObserver* observer, int layer, std::string_view name, const Variable& x) {
    if (observer != nullptr) observer->onTensor(layer, name, x.value());
}

}  // namespace

Transformer::Transformer(const ModelOptions& options, const ModelShape& shape, const Mechanism& mechanism,
                         ParameterStore& parameters)
    : m_options(options),
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
        fillSinusoids(m_positions->value);
    }
    for (std::int64_t layer = 0; layer < options.layers; ++layer) {
        const std::string prefix = fmt::format("blocks.{}.", layer);
        Block& block = m_blocks.emplace_back();
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

Variable Transformer::block(const Block& b, int layer, const Variable& x, const Input& input) const {
    Tape& tape = x.tape();
    const auto apply = [&](const Linear& l, const Variable& in, Activation activation = Activation::None) {
        return linear(in, leafOf(tape, *l.weight), leafOf(tape, *l.bias), activation);
    };
    const auto normed = [&](const Linear& l, const Variable& in) {
        return layerNorm(in, leafOf(tape, *l.weight), leafOf(tape, *l.bias));
    };
    const Shape flat = x.shape();
    const Shape heads{flat[0], flat[1], m_options.heads, m_options.width / m_options.heads};
    const Variable h = normed(b.norm1, x);
    Variable q = reshape(apply(b.query, h), heads), k = reshape(apply(b.key, h), heads);
    const Variable v = reshape(apply(b.value, h), heads);
    if (m_position == Position::Rotary) {
        q = rotary(q);
        k = rotary(k);
    }
    show(input.observer, layer, "query", q);
    show(input.observer, layer, "key", k);
    show(input.observer, layer, "value", v);
    const Variable o = m_mechanism.forward({.layer = layer, .q = q, .k = k, .v = v, .keep = input.keep});
    show(input.observer, layer, "attention", o);
    const Variable middle = add(x, apply(b.output, reshape(o, flat)));
    const Variable y = add(middle, apply(b.down, apply(b.up, normed(b.norm2, middle), Activation::Gelu)));
    show(input.observer, layer, "block", y);
    return y;
}

Variable Transformer::forward(Tape& tape, const Input& input) const {
    const Variable positions = m_positions != nullptr ? leafOf(tape, *m_positions) : Variable{};
    Variable x = embed(input.tokens, input.batch, input.length, leafOf(tape, *m_tokens), positions);
    show(input.observer, -1, "embedding", x);
    for (std::size_t layer = 0; layer < m_blocks.size(); ++layer)
        x = block(m_blocks[layer], static_cast<int>(layer), x, input);
    const Variable chosen = m_meanPooled ? meanTokens(x, input.keep) : selectRows(x, input.selected);
    const Variable logits = linear(layerNorm(chosen, leafOf(tape, *m_norm.weight), leafOf(tape, *m_norm.bias)),
                                   leafOf(tape, *m_head.weight), leafOf(tape, *m_head.bias));
    show(input.observer, -1, "logits", logits);
    return logits;
}

}  // namespace linscope

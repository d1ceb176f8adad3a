#include "core/nn/encoder.h"

#include <fmt/format.h>

#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/layer_norm.h"
#include "core/ops/linear.h"

namespace linscope {
namespace {

constexpr double kDeviation = 0.02;

Variable leaf(Tape& tape, const Parameter* p) {
    return p->frozen ? tape.constant(p->value) : tape.leaf(p->value, p->gradient);
}

void show(TensorObserver* observer, int layer, std::string_view name, const Variable& x) {
    if (observer != nullptr) observer->onTensor(layer, name, x.value());
}

}  // namespace

Encoder::Encoder(const ModelOptions& options, std::int64_t vocabulary, std::int64_t length, const Mechanism& mechanism,
                 ParameterStore& parameters)
    : m_options(options), m_mechanism(mechanism) {
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
    m_tokens =
        &parameters.add("embedding.token", {vocabulary, width}, {.standardDeviation = kDeviation, .decay = false});
    m_positions =
        &parameters.add("embedding.position", {length, width}, {.standardDeviation = kDeviation, .decay = false});
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
    m_head = linear("head", vocabulary, width, kDeviation);
}

Variable Encoder::block(const Block& b, int layer, const Variable& x, TensorObserver* observer) const {
    Tape& tape = x.tape();
    const auto apply = [&](const Linear& l, const Variable& in, Activation activation = Activation::None) {
        return linear(in, leaf(tape, l.weight), leaf(tape, l.bias), activation);
    };
    const auto normed = [&](const Linear& l, const Variable& in) {
        return layerNorm(in, leaf(tape, l.weight), leaf(tape, l.bias));
    };
    const Shape flat = x.shape();
    const Shape heads{flat[0], flat[1], m_options.heads, m_options.width / m_options.heads};
    const Variable h = normed(b.norm1, x);
    const Variable q = reshape(apply(b.query, h), heads), k = reshape(apply(b.key, h), heads),
                   v = reshape(apply(b.value, h), heads);
    show(observer, layer, "query", q);
    show(observer, layer, "key", k);
    show(observer, layer, "value", v);
    const Variable o = m_mechanism.forward({.layer = layer, .q = q, .k = k, .v = v});
    show(observer, layer, "attention", o);
    const Variable middle = add(x, apply(b.output, reshape(o, flat)));
    const Variable y = add(middle, apply(b.down, apply(b.up, normed(b.norm2, middle), Activation::Gelu)));
    show(observer, layer, "block", y);
    return y;
}

Variable Encoder::forward(Tape& tape, const Input& input) const {
    Variable x = embed(input.tokens, input.batch, input.length, leaf(tape, m_tokens), leaf(tape, m_positions));
    show(input.observer, -1, "embedding", x);
    for (std::size_t layer = 0; layer < m_blocks.size(); ++layer)
        x = block(m_blocks[layer], static_cast<int>(layer), x, input.observer);
    const Variable chosen = selectRows(x, input.selected);
    const Variable logits = linear(layerNorm(chosen, leaf(tape, m_norm.weight), leaf(tape, m_norm.bias)),
                                   leaf(tape, m_head.weight), leaf(tape, m_head.bias));
    show(input.observer, -1, "logits", logits);
    return logits;
}

}  // namespace linscope

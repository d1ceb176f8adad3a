#include "core/attention/mechanism.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/autograd/tape.h"
#include "core/base/error.h"

namespace linscope {
namespace {

/// Keeps all q, k and v and computes the whole sequence again for each token, or each block that is read: right for
/// every causal mechanism, and as slow as that sounds.
class RecomputedDecoding : public DecodingState {
public:
    RecomputedDecoding(const Mechanism& mechanism, int layer) : m_mechanism(mechanism), m_layer(layer) {}

    void step(std::span<const float> q, std::span<const float> k, std::span<const float> v,
              std::span<float> o) override {
        extend(q, k, v, o);
    }

    Variable read(const Variable& q, const Variable& k, const Variable& v) override {
        const Variable o = q.tape().result(q.shape(), q.type(), q);
        extend(q.value().span<float>(), k.value().span<float>(), v.value().span<float>(), o.value().span<float>());
        return o;
    }

    std::vector<float> save() const override {
        std::vector<float> numbers = m_q;
        append(numbers, m_k);
        append(numbers, m_v);
        return numbers;
    }

    void load(std::span<const float> numbers) override {
        const auto row = static_cast<std::size_t>(m_mechanism.sizes().heads * m_mechanism.sizes().headWidth);
        require(numbers.size() % (3 * row) == 0, "decoding", "a cache of tokens of 3 x {} numbers, but got {}", row,
                numbers.size());
        const std::size_t part = numbers.size() / 3;
        m_q.assign(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(part));
        m_k.assign(numbers.begin() + static_cast<std::ptrdiff_t>(part),
                   numbers.begin() + static_cast<std::ptrdiff_t>(2 * part));
        m_v.assign(numbers.begin() + static_cast<std::ptrdiff_t>(2 * part), numbers.end());
    }

private:
    /// o [n,H,D] of n more tokens.
    void extend(std::span<const float> q, std::span<const float> k, std::span<const float> v, std::span<float> o) {
        append(m_q, q);
        append(m_k, k);
        append(m_v, v);
        const AttentionSizes& sizes = m_mechanism.sizes();
        const std::int64_t row = sizes.heads * sizes.headWidth;
        const Shape shape{1, static_cast<std::int64_t>(m_q.size()) / row, sizes.heads, sizes.headWidth};
        m_arena.reset();
        Tape tape(m_arena, false);
        const auto constant = [&](std::vector<float>& values) {
            return tape.constant(Tensor(values.data(), shape, DType::F32));
        };
        const Variable all =
            m_mechanism.forward({.layer = m_layer, .q = constant(m_q), .k = constant(m_k), .v = constant(m_v)});
        std::ranges::copy(all.value().span<float>().last(o.size()), o.begin());
    }

    static void append(std::vector<float>& to, std::span<const float> values) {
        to.insert(to.end(), values.begin(), values.end());
    }

    const Mechanism& m_mechanism;
    int m_layer;
    std::vector<float> m_q, m_k, m_v;  // [t,H,D]
    Arena m_arena;
};

Projection labelled(const std::string& name, int layer, int head) {
    Projection projection;
    projection.name = name;
    projection.layer = layer;
    projection.head = head;
    return projection;
}

std::vector<std::int64_t> extentsOf(const Tensor& value) {
    std::vector<std::int64_t> extents;
    for (int axis = 0; axis < value.shape().rank(); ++axis) extents.push_back(value.shape()[axis]);
    return extents;
}

std::vector<float> floatsOf(const Tensor& value) {
    std::vector<float> floats(static_cast<std::size_t>(value.elements()));
    dispatchReal(value.type(), [&](auto zero) {
        const auto* values = value.as<decltype(zero)>();
        for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(values[i]);
    });
    return floats;
}

void setFloats(const Tensor& value, std::span<const float> floats) {
    dispatchReal(value.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::size_t i = 0; i < floats.size(); ++i) value.as<T>()[i] = static_cast<T>(floats[i]);
    });
}

}  // namespace

Variable Mechanism::forward(const AttentionInput& input) const {
    check(input);
    return forwardImpl(input);
}

Variable Mechanism::naive(const AttentionInput& input) const {
    check(input);
    return naiveImpl(input);
}

void Mechanism::check(const AttentionInput& input) const {
    const Shape& q = input.q.shape();
    require(q.rank() == 4 && q[2] == m_sizes.heads && q[3] == m_sizes.headWidth, "attention",
            "q [B, T, {}, {}], but got {}", m_sizes.heads, m_sizes.headWidth, q.text());
    require(input.k.shape() == q && input.v.shape() == q, "attention", "k and v of q's shape {}, but got {} and {}",
            q.text(), input.k.shape().text(), input.v.shape().text());
    require(input.layer >= 0 && input.layer < m_sizes.layers, "attention", "a layer below {}, but got {}",
            m_sizes.layers, input.layer);
    require(input.keep.empty() || static_cast<std::int64_t>(input.keep.size()) == q[0] * q[1], "attention",
            "a padding mask of {} values, but got {}", q[0] * q[1], input.keep.size());
}

std::unique_ptr<DecodingState> Mechanism::startDecoding(int layer) const {
    require(m_sizes.causal, "decoding", "a causal mechanism, but this one sees the future");
    require(layer >= 0 && layer < m_sizes.layers, "decoding", "a layer below {}, but got {}", m_sizes.layers, layer);
    return startDecodingImpl(layer);
}

std::unique_ptr<DecodingState> Mechanism::startDecodingImpl(int layer) const {
    return std::make_unique<RecomputedDecoding>(*this, layer);
}

void Mechanism::addProjection(std::string name, int layer, int head, Parameter* parameter) {
    m_projections.push_back({std::move(name), layer, head, parameter});
}

void Mechanism::adoptProjections(const Mechanism& part, const std::string& prefix, int layer, int head) {
    m_parts.push_back(&part);
    for (const NamedProjection& named : part.m_projections)
        addProjection(prefix + named.name, layer, named.head < 0 ? -1 : head + named.head, named.parameter);
}

std::vector<Projection> Mechanism::projections() const {
    refreshProjections();
    for (const Mechanism* part : m_parts) part->refreshProjections();
    std::vector<Projection> result;
    for (const NamedProjection& named : m_projections) {
        const Tensor& value = named.parameter->value;
        Projection& p = result.emplace_back(labelled(named.name, named.layer, named.head));
        p.slots = value.shape()[0];
        p.length = value.shape()[1];
        p.values = floatsOf(value);
    }
    return result;
}

void Mechanism::setProjections(std::span<const Projection> projections) {
    for (const NamedProjection& named : m_projections) {
        const Tensor& value = named.parameter->value;
        const std::string label = labelled(named.name, named.layer, named.head).label();
        const auto found = std::ranges::find_if(projections, [&](const Projection& p) { return p.label() == label; });
        require(found != projections.end(), "projections", "the matrix {}, but it is missing", label);
        require(found->slots == value.shape()[0] && found->length == value.shape()[1] &&
                    static_cast<std::int64_t>(found->values.size()) == value.elements(),
                "projections", "{} of shape {}, but it is [{}, {}] and has {} values", label, value.shape().text(),
                found->slots, found->length, found->values.size());
        setFloats(value, found->values);
    }
}

bool Mechanism::keepsBesideProjections(const Parameter& parameter) const {
    return parameter.name.starts_with("attention.") &&
           std::ranges::find(m_projections, &parameter, &NamedProjection::parameter) == m_projections.end();
}

std::vector<ParameterValues> Mechanism::parameterValues(const ParameterStore& store) const {
    std::vector<ParameterValues> result;
    for (const Parameter& parameter : store.all())
        if (keepsBesideProjections(parameter))
            result.push_back({parameter.name, extentsOf(parameter.value), floatsOf(parameter.value)});
    return result;
}

void Mechanism::setParameterValues(ParameterStore& store, std::span<const ParameterValues> parameters) const {
    for (const Parameter& parameter : store.all()) {
        if (!keepsBesideProjections(parameter)) continue;
        const auto found = std::ranges::find(parameters, parameter.name, &ParameterValues::name);
        require(found != parameters.end(), "parameters",
                "a snapshot with the values of {}, but it has none: its run was logged by an older version, which did "
                "not keep such parameters",
                parameter.name);
        require(found->shape == extentsOf(parameter.value) &&
                    static_cast<std::int64_t>(found->values.size()) == parameter.value.elements(),
                "parameters", "{} of shape {}, but it is [{}] and has {} values", parameter.name,
                parameter.value.shape().text(), fmt::join(found->shape, ", "), found->values.size());
        setFloats(parameter.value, found->values);
    }
}

}  // namespace linscope

#include "core/nn/parameters.h"

#include <algorithm>
#include <cstring>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope {

Variable leafOf(Tape& tape, const Parameter& p) {
    if (tape.arena().device() == Device::Cuda) {
        const Variable x =
            p.trained() ? tape.leaf(p.onDevice.value, p.onDevice.gradient) : tape.constant(p.onDevice.value);
        x.state()->rounded = p.onDevice.rounded;
        return x;
    }
    return p.trained() ? tape.leaf(p.value, p.gradient) : tape.constant(p.value);
}

Parameter& ParameterStore::add(const std::string& ownName, const Shape& shape, const Init& init) {
    const std::string name = m_prefix + ownName;
    require(find(name) == nullptr, "parameters", "one parameter of each name, but there are two called \"{}\"", name);
    Parameter& parameter = m_parameters.emplace_back();
    parameter.name = name;
    parameter.value = m_arena.tensor(shape, m_type);
    parameter.gradient = m_arena.zeros(shape, m_type);
    parameter.firstMoment = m_arena.zeros(shape, m_type);
    parameter.secondMoment = m_arena.zeros(shape, m_type);
    parameter.decay = init.decay;
    parameter.projection = init.projection;
    parameter.buffer = init.buffer;
    Random random(m_seed, "parameter " + name);
    dispatchReal(m_type, [&](auto zero) {
        using Real = decltype(zero);
        for (Real& x : parameter.value.span<Real>())
            x = static_cast<Real>(init.standardDeviation == 0 ? init.mean
                                                              : init.mean + init.standardDeviation * random.normal());
    });
    return parameter;
}

Parameter* ParameterStore::find(std::string_view name) {
    const auto found = std::ranges::find(m_parameters, name, &Parameter::name);
    return found == m_parameters.end() ? nullptr : &*found;
}

std::int64_t ParameterStore::elements() const {
    std::int64_t sum = 0;
    for (const Parameter& parameter : m_parameters) sum += parameter.value.elements();
    return sum;
}

void ParameterStore::clearGradients() {
    for (Parameter& parameter : m_parameters)
        std::memset(parameter.gradient.raw(), 0, static_cast<std::size_t>(parameter.gradient.bytes()));
}

}  // namespace linscope

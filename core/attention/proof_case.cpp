#include "core/attention/proof_case.h"

#include <fmt/format.h>

#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/nn/device_parameters.h"

namespace linscope::proofs {
namespace {

Tensor toTensor(Arena& arena, const Shape& shape, DType type, const Numbers& numbers) {
    Arena here;
    const Tensor tensor = (arena.context() != nullptr ? here : arena).tensor(shape, type);
    dispatchReal(type, [&](auto zero) {
        using T = decltype(zero);
        for (std::size_t i = 0; i < numbers.size(); ++i) tensor.as<T>()[i] = static_cast<T>(numbers[i]);
    });
    if (arena.context() == nullptr) return tensor;
    const Tensor there = arena.tensor(shape, type);
    arena.context()->toDevice(there.raw(), tensor.raw(), static_cast<std::size_t>(tensor.bytes()));
    arena.context()->wait();
    return there;
}

Numbers toNumbers(const Tensor& tensor, DeviceContext* device) {
    if (tensor.onDevice()) {
        Arena here;
        const Tensor copy = here.tensor(tensor.shape(), tensor.type());
        device->toHost(copy.raw(), tensor.raw(), static_cast<std::size_t>(copy.bytes()));
        device->wait();
        return toNumbers(copy, nullptr);
    }
    Numbers numbers(static_cast<std::size_t>(tensor.elements()));
    dispatchReal(tensor.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(tensor.as<T>()[i]);
    });
    return numbers;
}

}  // namespace

std::string Case::text() const {
    std::string result = fmt::format("B{} T{} H{} D{}", batch, sizes.length, sizes.heads, sizes.headWidth);
    if (sizes.causal) result += " causal";
    if (sizes.position != Position::None) result += fmt::format(" {}", nameOf(sizes.position));
    for (const auto& [name, value] : options) result += fmt::format(" {}={}", name, toTomlText(value));
    return result;
}

Inputs randomInputs(const Case& c) {
    Random random(7, c.text());
    Inputs inputs;
    inputs.length = c.sizes.length;
    const std::int64_t count = c.batch * c.sizes.length * c.sizes.heads * c.sizes.headWidth;
    for (Numbers* numbers : {&inputs.q, &inputs.k, &inputs.v, &inputs.upstream}) {
        numbers->resize(static_cast<std::size_t>(count));
        for (double& x : *numbers) x = static_cast<double>(static_cast<float>(random.normal()));
    }
    return inputs;
}

Outcome run(const Case& c, const Inputs& inputs, Form form, DType type,
            const std::function<void(ParameterStore&)>& change) {
    DeviceContext* device = form == Form::Fused && type == DType::F32 ? c.device : nullptr;
    ParameterStore parameters(3, type);
    const auto mechanism = c.info->create(c.options, c.sizes, parameters);
    if (change) change(parameters);
    const auto onDevice = device != nullptr ? std::make_unique<DeviceParameters>(*device, parameters) : nullptr;
    Arena arena(device, true);
    Tape tape(arena, true, form == Form::Fused ? c.precision : Precision::Single);
    const Shape shape{c.batch, inputs.length, c.sizes.heads, c.sizes.headWidth};
    const auto leaf = [&](const Numbers& numbers) {
        return tape.leaf(toTensor(arena, shape, type, numbers), arena.zeros(shape, type));
    };
    const Variable q = leaf(inputs.q), k = leaf(inputs.k), v = leaf(inputs.v);
    std::span<const float> keep = inputs.keep;
    if (device != nullptr && !keep.empty()) {
        const Numbers numbers(keep.begin(), keep.end());
        const Tensor there = toTensor(arena, {static_cast<std::int64_t>(keep.size())}, DType::F32, numbers);
        keep = {there.onDeviceAs<float>(), keep.size()};
    }
    const AttentionInput input{.layer = static_cast<int>(c.sizes.layers - 1), .q = q, .k = k, .v = v, .keep = keep};
    const Variable o = form == Form::Naive ? mechanism->naive(input) : mechanism->forward(input);
    require(o.shape() == shape, "proof", "an output of shape {}, but got {}", shape.text(), o.shape().text());
    tape.backward(o, toTensor(arena, shape, type, inputs.upstream));
    Outcome outcome{toNumbers(o.value(), device),
                    toNumbers(q.gradient(), device),
                    toNumbers(k.gradient(), device),
                    toNumbers(v.gradient(), device),
                    {}};
    if (onDevice) {
        onDevice->stepped();
        onDevice->currentOnHost();
    }
    for (const Parameter& p : parameters.all())
        outcome.dParameters.push_back(p.trained() ? toNumbers(p.gradient, nullptr) : Numbers{});
    return outcome;
}

Numbers decode(const Case& c, const Inputs& inputs, std::span<const std::int64_t> blocks) {
    ParameterStore parameters(3, DType::F32);
    const auto mechanism = c.info->create(c.options, c.sizes, parameters);
    const int layer = static_cast<int>(c.sizes.layers - 1);
    auto state = mechanism->startDecoding(layer);
    const auto row = static_cast<std::size_t>(c.sizes.heads * c.sizes.headWidth);
    Numbers outputs;
    Arena arena(true);
    bool loaded = false;
    std::size_t block = 0;
    for (std::int64_t t = 0; t < inputs.length;) {
        if (!loaded && t >= inputs.length / 2) {
            loaded = true;
            const std::vector<float> saved = state->save();
            state = mechanism->startDecoding(layer);
            state->load(saved);
        }
        const std::int64_t together = blocks.empty() ? 1 : blocks[block++ % blocks.size()];
        const std::int64_t count = std::min(together, inputs.length - t);
        arena.reset();
        Tape tape(arena, false);
        const auto part = [&](const Numbers& all) {
            const auto first = all.begin() + t * static_cast<std::int64_t>(row);
            return toTensor(arena, {1, count, c.sizes.heads, c.sizes.headWidth}, DType::F32,
                            Numbers(first, first + count * static_cast<std::int64_t>(row)));
        };
        const Variable q = tape.constant(part(inputs.q)), k = tape.constant(part(inputs.k)),
                       v = tape.constant(part(inputs.v));
        Variable o;
        if (count > 1) {
            o = state->read(q, k, v);
        } else {
            o = tape.result(q.shape(), q.type(), q);
            state->step(q.value().span<float>(), k.value().span<float>(), v.value().span<float>(),
                        o.value().span<float>());
        }
        const auto numbers = o.value().span<float>();
        outputs.insert(outputs.end(), numbers.begin(), numbers.end());
        t += count;
    }
    return outputs;
}

double relativeError(const Numbers& a, const Numbers& b) {
    if (a.size() != b.size()) return std::nan("");
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        error += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    if (a.empty()) return 0;
    const double count = static_cast<double>(a.size());
    return std::sqrt(error / count) / std::max(std::sqrt(norm / count), 0.1);
}

double difference(const Case& c, const Case& reference, const Inputs& inputs,
                  const std::function<void(ParameterStore&)>& change) {
    return relativeError(run(c, inputs, Form::Fused, DType::F64, change).o,
                         run(reference, inputs, Form::Fused, DType::F64).o);
}

}  // namespace linscope::proofs

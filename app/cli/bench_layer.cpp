#include "app/cli/bench_layer.h"

#include <array>
#include <memory>

#include "app/cli/bench_timing.h"
#include "core/autograd/tape.h"
#include "core/base/random.h"
#include "core/cuda/rounded.h"
#include "core/nn/device_parameters.h"

namespace linscope::app {
namespace {

constexpr std::size_t kDrawn = 1 << 20;  // numbers; then they repeat, since the time does not depend on them

/// Standard normal, where the layer computes and in the type that it reads there.
Tensor normal(Arena& arena, const Shape& shape, DType type, std::string_view name) {
    Arena here;
    const Tensor x = here.tensor(shape);
    Random random(1, name);
    const auto values = x.span<float>();
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = i < kDrawn ? static_cast<float>(random.normal()) : values[i - kDrawn];
    DeviceContext* device = arena.context();
    const Tensor kept = arena.tensor(shape);
    if (device == nullptr) {
        std::ranges::copy(x.span<float>(), kept.as<float>());
        return kept;
    }
    device->toDevice(kept.raw(), x.raw(), static_cast<std::size_t>(x.bytes()));
    device->wait();
    return type == DType::BF16 ? cuda::rounded(arena, kept) : kept;
}

/// A layer with its arguments, which can be gone through again and again.
class LayerRound {
public:
    LayerRound(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes, std::int64_t batch,
               DeviceContext* device)
        : m_parameters(1),
          m_mechanism(info.create(options, sizes, m_parameters)),
          m_onDevice(device ? std::make_unique<DeviceParameters>(*device, m_parameters) : nullptr),
          m_kept(device),
          m_arena(device) {
        const Shape shape{batch, sizes.length, sizes.heads, sizes.headWidth};
        const DType type = device && m_mechanism->takesBf16() ? cuda::productType(m_kept) : DType::F32;
        const char* names[] = {"q", "k", "v"};
        for (std::size_t i = 0; i < 3; ++i) {
            m_inputs[i] = normal(m_kept, shape, type, names[i]);
            m_gradients[i] = m_kept.zeros(shape, type);
        }
        m_upstream = normal(m_kept, shape, type, "upstream");
    }

    void operator()() {
        m_arena.reset();
        Tape tape(m_arena);
        const auto leaf = [&](std::size_t i) { return tape.leaf(m_inputs[i], m_gradients[i]); };
        tape.backward(m_mechanism->forward({.q = leaf(0), .k = leaf(1), .v = leaf(2)}), m_upstream);
    }

private:
    ParameterStore m_parameters;
    std::unique_ptr<Mechanism> m_mechanism;
    std::unique_ptr<DeviceParameters> m_onDevice;
    Arena m_kept, m_arena;
    std::array<Tensor, 3> m_inputs, m_gradients;
    Tensor m_upstream;
};

}  // namespace

double layerMilliseconds(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes,
                         std::int64_t batch, double mostSeconds, DeviceContext* device) {
    LayerRound layer(info, options, sizes, batch, device);
    return medianMilliseconds([&] { layer(); }, mostSeconds, device);
}

}  // namespace linscope::app

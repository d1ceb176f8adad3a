#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "core/autograd/tape.h"
#include "core/base/random.h"
#include "core/ops/elementwise.h"

namespace linscope::test {

using Function = std::function<Variable(const std::vector<Variable>&)>;

/// Every input's gradient against central differences in double, with a random upstream gradient; fresh
/// memory holds NaN. Each input also takes part twice, so that gradients have to add up.
inline void checkGradients(const std::vector<Shape>& shapes, const Function& function) {
    Random random(4, "gradients");
    std::vector<std::vector<double>> values;
    for (const Shape& shape : shapes) {
        auto& v = values.emplace_back(static_cast<std::size_t>(shape.elements()));
        for (double& x : v) x = random.normal();
    }
    std::vector<double> upstream;
    std::vector<std::vector<double>> gradients;
    const auto run = [&](bool backward) {
        Arena arena(true);
        Tape tape(arena);
        std::vector<Variable> inputs;
        for (std::size_t i = 0; i < shapes.size(); ++i) {
            const Tensor value = arena.tensor(shapes[i], DType::F64);
            std::ranges::copy(values[i], value.as<double>());
            inputs.push_back(tape.leaf(value, arena.zeros(shapes[i], DType::F64)));
        }
        const Variable once = function(inputs);
        const Variable y = add(once, scale(function(inputs), 0.5));
        if (upstream.empty())
            for (std::int64_t i = 0; i < y.value().elements(); ++i) upstream.push_back(random.normal());
        double sum = 0;
        for (std::size_t i = 0; i < upstream.size(); ++i) sum += upstream[i] * y.value().as<double>()[i];
        if (backward) {
            const Tensor seed = arena.tensor(y.shape(), DType::F64);
            std::ranges::copy(upstream, seed.as<double>());
            tape.backward(y, seed);
            for (const Variable& input : inputs) {
                const auto span = input.gradient().span<double>();
                gradients.emplace_back(span.begin(), span.end());
            }
        }
        return sum;
    };
    run(true);
    constexpr double h = 1e-5;
    for (std::size_t i = 0; i < values.size(); ++i)
        for (std::size_t j = 0; j < values[i].size(); ++j) {
            const double saved = values[i][j];
            values[i][j] = saved + h;
            const double above = run(false);
            values[i][j] = saved - h;
            const double below = run(false);
            values[i][j] = saved;
            ASSERT_NEAR(gradients[i][j], (above - below) / (2 * h), 1e-7) << "input " << i << " entry " << j;
        }
}

}  // namespace linscope::test

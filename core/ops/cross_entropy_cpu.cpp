#include "core/ops/cross_entropy.h"

#include <Eigen/Core>
#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {

CrossEntropy crossEntropy(const Variable& logits, std::span<const std::int32_t> targets) {
    const std::int64_t rows = logits.shape()[0], width = logits.shape()[1];
    require(rows > 0 && static_cast<std::int64_t>(targets.size()) == rows, "crossEntropy",
            "a target for each of {} rows (at least one), but got {}", rows, targets.size());
    if (logits.value().onDevice()) return cuda::crossEntropy(logits, targets);
    for (std::int32_t target : targets)
        require(target >= 0 && target < width, "crossEntropy", "targets below {}, but got {}", width, target);
    Tape& tape = logits.tape();
    const Variable loss = tape.result({1}, logits.type(), logits);
    const Tensor probabilities = tape.arena().tensor(logits.shape(), logits.type());
    const Tensor losses = tape.arena().tensor({rows, 2}, DType::F64);  // loss and hit of each row
    double accuracy = 0;
    dispatchReal(logits.type(), [&](auto zero) {
        using T = decltype(zero);
        using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
        parallelFor(rows, 16, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i) {
                const Row x(logits.value().as<T>() + i * width, width);
                Row p(probabilities.as<T>() + i * width, width);
                Eigen::Index best = 0;
                const T greatest = x.maxCoeff(&best);
                p = (x - greatest).exp();
                const T sum = p.sum();
                p /= sum;
                losses.as<double>()[2 * i] = std::log(double(sum)) - double(x[targets[i]] - greatest);
                losses.as<double>()[2 * i + 1] = best == targets[i] ? 1.0 : 0.0;
            }
        });
        double sum = 0;
        for (std::int64_t i = 0; i < rows; ++i) {
            sum += losses.as<double>()[2 * i];
            accuracy += losses.as<double>()[2 * i + 1];
        }
        loss.value().as<T>()[0] = static_cast<T>(sum / double(rows));
        accuracy /= double(rows);
    });
    tape.record(loss, [=] {
        dispatchReal(logits.type(), [&](auto zero) {
            using T = decltype(zero);
            const auto sink = logits.gradientSink();
            const T factor = loss.gradient().as<T>()[0] / T(rows);
            const T* p = probabilities.as<T>();
            T* out = sink.tensor.as<T>();
            parallelFor(rows, 16, [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t i = first; i < last; ++i)
                    for (std::int64_t j = 0; j < width; ++j) {
                        const T value = factor * (p[i * width + j] - (j == targets[i] ? T(1) : T(0)));
                        out[i * width + j] = sink.accumulate ? out[i * width + j] + value : value;
                    }
            });
        });
    });
    return {.loss = loss, .accuracy = accuracy};
}

}  // namespace linscope

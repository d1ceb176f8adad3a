#include "core/optim/adamw.h"

#include <cmath>
#include <numbers>

#include "core/base/parallel.h"

namespace linscope {

double scheduledRate(const OptimizerOptions& options, double peak, std::int64_t step, std::int64_t totalSteps) {
    if (step <= options.warmup) return peak * static_cast<double>(step) / static_cast<double>(options.warmup);
    if (options.schedule == "constant") return peak;
    const double span = static_cast<double>(std::max<std::int64_t>(totalSteps - options.warmup, 1));
    const double progress = std::min(1.0, static_cast<double>(step - options.warmup) / span);
    const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
    return peak * (options.finalFraction + (1 - options.finalFraction) * cosine);
}

double gradientNorm(const ParameterStore& parameters) {
    double sum = 0;
    for (const Parameter& p : parameters.all()) {
        if (!p.trained()) continue;
        dispatchReal(p.gradient.type(), [&](auto zero) {
            using T = decltype(zero);
            // Eight partial sums let the compiler use vectors without reordering what we promised to keep.
            double part[8] = {};
            const auto g = p.gradient.span<T>();
            std::size_t i = 0;
            for (; i + 8 <= g.size(); i += 8)
                for (std::size_t j = 0; j < 8; ++j) part[j] += double(g[i + j]) * double(g[i + j]);
            for (; i < g.size(); ++i) part[0] += double(g[i]) * double(g[i]);
            for (double x : part) sum += x;
        });
    }
    return std::sqrt(sum);
}

AdamwNumbers adamwNumbers(const OptimizerOptions& options, double rate, std::int64_t step) {
    const double correct1 = 1 - std::pow(options.beta1, static_cast<double>(step));
    const double correct2 = 1 - std::pow(options.beta2, static_cast<double>(step));
    return {.stepSize = static_cast<float>(rate / correct1),
            .root = static_cast<float>(1 / std::sqrt(correct2)),
            .keep = static_cast<float>(1 - rate * options.weightDecay)};
}

void adamwStep(ParameterStore& parameters, const OptimizerOptions& options, double rate, std::int64_t step,
               double gradientScale) {
    const double correct1 = 1 - std::pow(options.beta1, static_cast<double>(step));
    const double correct2 = 1 - std::pow(options.beta2, static_cast<double>(step));
    for (Parameter& p : parameters.all()) {
        if (!p.trained()) continue;
        dispatchReal(p.value.type(), [&](auto zero) {
            using T = decltype(zero);
            const T beta1 = T(options.beta1), beta2 = T(options.beta2), epsilon = T(options.epsilon);
            const T stepSize = T(rate / correct1), root = T(1 / std::sqrt(correct2)), factor = T(gradientScale);
            const T keep = p.decay ? T(1 - rate * options.weightDecay) : T(1);
            T *w = p.value.as<T>(), *m = p.firstMoment.as<T>(), *v = p.secondMoment.as<T>();
            const T* gradient = p.gradient.as<T>();
            parallelFor(p.value.elements(), 4096, [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t i = first; i < last; ++i) {
                    const T g = gradient[i] * factor;
                    m[i] = beta1 * m[i] + (T(1) - beta1) * g;
                    v[i] = beta2 * v[i] + (T(1) - beta2) * g * g;
                    w[i] = keep * w[i] - stepSize * m[i] / (std::sqrt(v[i]) * root + epsilon);
                }
            });
        });
    }
}

}  // namespace linscope

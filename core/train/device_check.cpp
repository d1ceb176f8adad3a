#include "core/train/device_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope {
namespace {

constexpr double kFloor = 1e-3;  // of the largest entry of all gradients

Experiment inSinglePrecision(Experiment experiment) {
    experiment.model.precision = "fp32";
    return experiment;
}

double greatest(const Tensor& tensor) {
    double most = 0;
    for (const float x : tensor.span<float>()) most = std::max(most, std::abs(static_cast<double>(x)));
    return most;
}

double relative(double value, double expected) {
    return std::abs(value - expected) / std::abs(expected);
}

}  // namespace

std::size_t DeviceCheckEvent::binOf(double error) {
    if (!(error < 1)) return kBins - 1;  // NaN too
    if (error < kLowest) return 0;
    const auto decades = static_cast<std::size_t>(std::floor(std::log10(error / kLowest)));
    return std::min(decades + 1, kBins - 2);
}

DeviceCheck::DeviceCheck(Experiment experiment, const Task& task, const Lane& lane, double fraction)
    : m_seed(static_cast<std::uint64_t>(experiment.seed)),
      m_fraction(fraction),
      m_twin(inSinglePrecision(std::move(experiment)), static_cast<std::size_t>(lane.index()), task) {
    require(fraction >= 0 && fraction <= 1, "check-device", "a share of the steps from 0 to 1, but got {}", fraction);
}

bool DeviceCheck::due(std::int64_t step) const {
    return Random(m_seed, fmt::format("device check {}", step)).uniform() < m_fraction;
}

void DeviceCheck::takeOver(const Lane& lane) {
    const auto& from = lane.parameters().all();
    auto& to = m_twin.parameters().all();
    for (std::size_t i = 0; i < from.size(); ++i) {
        std::ranges::copy(from[i].value.span<float>(), to[i].value.as<float>());
        to[i].frozen = from[i].frozen;
    }
}

void DeviceCheck::compute(const Batch& batch) {
    const auto start = std::chrono::steady_clock::now();
    m_expected = m_twin.gradients(batch);
    m_milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

DeviceCheckEvent DeviceCheck::compare(const Lane& lane, const LaneStep& result, std::int64_t step) const {
    DeviceCheckEvent event{.step = step, .lane = lane.index(), .milliseconds = m_milliseconds};
    event.lossError = relative(result.loss, m_expected.loss);
    event.normError = relative(result.gradientNorm, m_expected.gradientNorm);
    const auto& found = lane.parameters().all();
    const auto& expected = m_twin.parameters().all();
    double ofAll = 0;
    for (const Parameter& p : expected)
        if (p.trained()) ofAll = std::max(ofAll, greatest(p.gradient));
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (!expected[i].trained()) continue;
        const auto a = found[i].gradient.span<float>(), b = expected[i].gradient.span<float>();
        const double scale = std::max(greatest(expected[i].gradient), kFloor * ofAll);
        for (std::size_t j = 0; j < b.size(); ++j) {
            const double difference = std::abs(static_cast<double>(a[j]) - static_cast<double>(b[j]));
            const double error = difference == 0 ? 0 : difference / scale;
            ++event.errors[DeviceCheckEvent::binOf(error)];
            if (event.worstError >= error || std::isnan(event.worstError)) continue;
            event.worstError = error;
            event.worstParameter = expected[i].name;
        }
    }
    return event;
}

}  // namespace linscope

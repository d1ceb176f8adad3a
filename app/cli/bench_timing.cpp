#include "app/cli/bench_timing.h"

#include <algorithm>
#include <chrono>

#include "core/base/error.h"
#include "core/cuda/device.h"

namespace linscope::app {
namespace {

using Clock = std::chrono::steady_clock;

// A median is over at least so many rounds and so much time, which outlasts what else the machine does at a moment.
constexpr std::size_t kRounds = 15;
constexpr double kSeconds = 1;

double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double medianOf(const std::function<double()>& time, double mostSeconds) {
    const auto begin = Clock::now();
    std::vector<double> times;
    for (;;) {
        times.push_back(time());
        const double spent = secondsSince(begin);
        if (spent > mostSeconds || (times.size() >= kRounds && spent > kSeconds)) return median(times);
    }
}

}  // namespace

double median(std::vector<double> values) {
    require(!values.empty(), "bench", "at least one measurement was required, but there is none");
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::unique_ptr<DeviceContext> benchDevice(const std::string& device, const std::string& precision) {
    if (device == "cpu" || (device == "auto" && !cudaAvailable())) return nullptr;
    requireCuda();
    auto context = std::make_unique<DeviceContext>();
    context->setPrecision(precisionOf(precision));
    return context;
}

double medianMilliseconds(const std::function<void()>& round, double mostSeconds, DeviceContext* device) {
    round();
    if (device == nullptr)
        return medianOf(
            [&] {
                const auto start = Clock::now();
                round();
                return secondsSince(start) * 1e3;
            },
            mostSeconds);
    device->wait();
    round();
    const auto graph = device->capture(round);
    return medianOf(
        [&] {
            device->startClock();
            device->replay(*graph);
            device->stopClock();
            return device->milliseconds();
        },
        mostSeconds);
}

}  // namespace linscope::app

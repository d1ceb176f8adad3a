#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "app/cli/bench_layer.h"
#include "app/cli/bench_timing.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/cuda/context.h"
#include "core/cuda/device.h"

namespace linscope::app {
namespace {

struct Point {
    std::int64_t length = 0;
    double milliseconds = 0;  ///< median
};

struct Curve {
    std::string mechanism, form;  ///< "bidirectional", "causal"
    std::vector<Point> points;
    std::string note;  ///< why it has no more points; empty: it has all
};

/// Slope of log time over log length by least squares: p of T^p. Not finite for fewer than two lengths.
double exponent(const std::vector<Point>& points) {
    double x = 0, y = 0, xx = 0, xy = 0;
    for (const Point& point : points) {
        const double u = std::log(static_cast<double>(point.length)), v = std::log(point.milliseconds);
        x += u, y += v, xx += u * u, xy += u * v;
    }
    const auto n = static_cast<double>(points.size());
    return n < 2 ? std::numeric_limits<double>::quiet_NaN() : (n * xy - x * y) / (n * xx - x * x);
}

Curve measure(const MechanismInfo& info, bool causal, const BenchLengthArguments& arguments, DeviceContext* device,
              ProgressLine& progress) {
    Curve curve{.mechanism = std::string(info.name), .form = causal ? "causal" : "bidirectional"};
    const OptionValues options = checkedValues(info.options, {}, info.name);
    for (const std::int64_t length : arguments.lengths) {
        if (!curve.points.empty()) {
            // Quadratic growth at worst, of one round to warm up and one that counts.
            const double factor = static_cast<double>(length) / static_cast<double>(curve.points.back().length);
            if (2 * curve.points.back().milliseconds * factor * factor > 1e3 * arguments.seconds) {
                curve.note =
                    fmt::format("not measured from {} on: it could take more than {:g} s", length, arguments.seconds);
                break;
            }
        }
        progress.update(fmt::format("{} ({}): length {}", curve.mechanism, curve.form, length));
        const AttentionSizes sizes{.layers = 1,
                                   .heads = arguments.heads,
                                   .headWidth = arguments.width / arguments.heads,
                                   .length = length,
                                   .causal = causal};
        try {
            checkAttention(info, options, sizes);
            if (device) requireForm(info, options, sizes, Device::Cuda);
            curve.points.push_back(
                {length, layerMilliseconds(info, options, sizes, arguments.batch, arguments.seconds / 4, device)});
        } catch (const Error& error) {
            curve.note = error.what();
            break;
        }
    }
    return curve;
}

Json jsonOf(const Curve& curve) {
    Json points = Json::array();
    for (const Point& point : curve.points) points.push_back({{"length", point.length}, {"ms", point.milliseconds}});
    return {{"mechanism", curve.mechanism},
            {"form", curve.form},
            {"exponent", exponent(curve.points)},
            {"note", curve.note},
            {"points", std::move(points)}};
}

}  // namespace

int runBenchLength(const BenchLengthArguments& arguments) {
    require(arguments.width % arguments.heads == 0, "bench", "heads must divide width, but width is {} and heads {}",
            arguments.width, arguments.heads);
    const std::unique_ptr<DeviceContext> device = benchDevice(arguments.device, arguments.precision);
    std::vector<Curve> curves;
    ProgressLine progress;
    for (const MechanismInfo& info : mechanisms()) {
        if (!arguments.mechanism.empty() && arguments.mechanism != info.name) continue;
        if (info.traits.bidirectional) curves.push_back(measure(info, false, arguments, device.get(), progress));
        if (info.traits.causal) curves.push_back(measure(info, true, arguments, device.get(), progress));
    }
    progress.finish();
    if (curves.empty()) findMechanism(arguments.mechanism);  // throws, with the names that there are
    if (arguments.json) {
        Json list = Json::array();
        for (const Curve& curve : curves) list.push_back(jsonOf(curve));
        printJson({{"bench", "length"},
                   {"width", arguments.width},
                   {"heads", arguments.heads},
                   {"batch", arguments.batch},
                   {"device", device ? cudaDescription() : "processor"},
                   {"curves", std::move(list)}});
        return 0;
    }
    fmt::print("ms of one layer, forward and backward: width {}, {} heads, {} sequence{}; median\n", arguments.width,
               arguments.heads, arguments.batch, arguments.batch == 1 ? "" : "s");
    fmt::print("{:<18}{:<15}", "mechanism", "form");
    for (const std::int64_t length : arguments.lengths) fmt::print("{:>10}", length);
    fmt::print("{:>10}\n", "exponent");
    for (const Curve& curve : curves) {
        fmt::print("{:<18}{:<15}", curve.mechanism, curve.form);
        for (std::size_t i = 0; i < arguments.lengths.size(); ++i)
            fmt::print("{:>10}", i < curve.points.size() ? fmt::format("{:.2f}", curve.points[i].milliseconds) : "");
        const double slope = exponent(curve.points);
        fmt::print("{:>10}\n", std::isfinite(slope) ? fmt::format("{:.2f}", slope) : "-");
        if (!curve.note.empty()) fmt::print("    {}\n", curve.note);
    }
    return 0;
}

}  // namespace linscope::app

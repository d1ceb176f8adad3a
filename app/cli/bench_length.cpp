#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "app/cli/bench_setup.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "core/attention/mechanism.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope::app {
namespace {

using Clock = std::chrono::steady_clock;

// A median is over at least so many rounds and so much time, which outlasts what else the machine does at a moment.
constexpr std::size_t kRounds = 15;
constexpr double kSeconds = 1;

struct Point {
    std::int64_t length = 0;
    double milliseconds = 0;  ///< median
};

struct Curve {
    std::string mechanism, form;  ///< "bidirectional", "causal"
    std::vector<Point> points;
    std::string note;  ///< why it has no more points; empty: it has all
};

/// Slope of log time over log length by least squares: p of T^p. NaN for fewer than two points.
double exponent(const std::vector<Point>& points) {
    double x = 0, y = 0, xx = 0, xy = 0;
    for (const Point& point : points) {
        const double u = std::log(static_cast<double>(point.length)), v = std::log(point.milliseconds);
        x += u, y += v, xx += u * u, xy += u * v;
    }
    const auto n = static_cast<double>(points.size());
    return n < 2 ? std::numeric_limits<double>::quiet_NaN() : (n * xy - x * y) / (n * xx - x * x);
}

Tensor normal(Arena& arena, const Shape& shape, std::string_view name) {
    const Tensor x = arena.tensor(shape);
    Random random(1, name);
    for (float& value : x.span<float>()) value = static_cast<float>(random.normal());
    return x;
}

/// Median ms of forward and backward of one layer, after one that warms up; at least one, whatever `mostSeconds` says.
double layerTime(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes,
                 double mostSeconds) {
    ParameterStore parameters(1);
    const auto mechanism = info.create(options, sizes, parameters);
    Arena kept, arena;
    const Shape shape{1, sizes.length, sizes.heads, sizes.headWidth};
    const Tensor q = normal(kept, shape, "q"), k = normal(kept, shape, "k"), v = normal(kept, shape, "v");
    const Tensor gradients[] = {kept.zeros(shape), kept.zeros(shape), kept.zeros(shape)};
    const Tensor upstream = normal(kept, shape, "upstream");
    std::vector<double> times;
    const auto begin = Clock::now();
    for (bool warm = false;; warm = true) {
        const auto start = Clock::now();
        arena.reset();
        Tape tape(arena);
        const Variable o = mechanism->forward(
            {.q = tape.leaf(q, gradients[0]), .k = tape.leaf(k, gradients[1]), .v = tape.leaf(v, gradients[2])});
        tape.backward(o, upstream);
        if (!warm) continue;
        times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
        const double spent = std::chrono::duration<double>(Clock::now() - begin).count();
        if (spent > mostSeconds || (times.size() >= kRounds && spent > kSeconds)) return median(times);
    }
}

Curve measure(const MechanismInfo& info, bool causal, const BenchLengthArguments& arguments, ProgressLine& progress) {
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
            curve.points.push_back({length, layerTime(info, options, sizes, arguments.seconds / 4)});
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
    std::vector<Curve> curves;
    ProgressLine progress;
    for (const MechanismInfo& info : mechanisms()) {
        if (!arguments.mechanism.empty() && arguments.mechanism != info.name) continue;
        if (info.traits.bidirectional) curves.push_back(measure(info, false, arguments, progress));
        if (info.traits.causal) curves.push_back(measure(info, true, arguments, progress));
    }
    progress.finish();
    if (curves.empty()) findMechanism(arguments.mechanism);  // throws, with the names that there are
    if (arguments.json) {
        Json list = Json::array();
        for (const Curve& curve : curves) list.push_back(jsonOf(curve));
        printJson(
            {{"bench", "length"}, {"width", arguments.width}, {"heads", arguments.heads}, {"curves", std::move(list)}});
        return 0;
    }
    fmt::print("ms of one layer, forward and backward: width {}, {} heads, one sequence; median\n", arguments.width,
               arguments.heads);
    fmt::print("{:<18}{:<15}", "mechanism", "form");
    for (const std::int64_t length : arguments.lengths) fmt::print("{:>10}", length);
    fmt::print("{:>10}\n", "exponent");
    for (const Curve& curve : curves) {
        fmt::print("{:<18}{:<15}", curve.mechanism, curve.form);
        for (std::size_t i = 0; i < arguments.lengths.size(); ++i)
            fmt::print("{:>10}", i < curve.points.size() ? fmt::format("{:.2f}", curve.points[i].milliseconds) : "");
        fmt::print("{:>10.2f}\n", exponent(curve.points));
        if (!curve.note.empty()) fmt::print("    {}\n", curve.note);
    }
    return 0;
}

}  // namespace linscope::app

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/bench_setup.h"
#include "app/cli/bench_timing.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/nn/token_decoder.h"
#include "core/nn/transformer.h"

namespace linscope::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kVocabulary = 256;
constexpr std::int64_t kWindow = 200;        // tokens before a mark whose median is its time
constexpr std::int64_t kFixedLength = 1000;  // what mechanisms that are built for one length get

struct Mark {
    std::int64_t tokens = 0;
    double milliseconds = 0;  ///< median of the last tokens
    std::int64_t stateBytes = 0;
};

struct Decoded {
    std::string mechanism;
    bool streaming = false;
    std::vector<Mark> marks;
    std::int64_t reached = 0;  ///< tokens
    std::string note;          ///< why it ended before the last mark; empty: it did not
};

Decoded measure(const MechanismInfo& info, const BenchDecodeArguments& arguments, ProgressLine& progress) {
    Decoded result{.mechanism = std::string(info.name), .streaming = info.traits.streaming};
    const std::int64_t last = arguments.tokens.back();
    ModelOptions model;
    model.kind = "decoder";
    model.layers = arguments.layers;
    model.width = arguments.width;
    model.heads = arguments.heads;
    model.position = "none";
    const AttentionSizes sizes{.layers = model.layers,
                               .heads = model.heads,
                               .headWidth = model.width / model.heads,
                               .length = info.traits.fixedLength ? kFixedLength : last,
                               .causal = true};
    ParameterStore parameters(1);
    std::unique_ptr<Mechanism> mechanism;
    try {
        const OptionValues options = checkedValues(info.options, {}, info.name);
        checkAttention(info, options, sizes);
        mechanism = info.create(options, sizes, parameters);
    } catch (const Error& error) {
        result.note = error.what();
        return result;
    }
    const Transformer transformer(model, {.vocabulary = kVocabulary, .outputs = kVocabulary, .length = sizes.length},
                                  *mechanism, parameters);
    TokenDecoder decoder(transformer, info.traits.fixedLength ? std::optional(sizes.length) : std::nullopt);
    Random random(1, "bench.decode");
    std::vector<double> recent(kWindow);
    const auto begin = Clock::now();
    const auto tell = [&] {
        const std::int64_t tokens = decoder.place(), measured = std::min(tokens, kWindow);
        if (tokens > 0 && (result.marks.empty() || result.marks.back().tokens != tokens))
            result.marks.push_back({tokens, median({recent.begin(), recent.begin() + measured}), decoder.stateBytes()});
    };
    for (const std::int64_t mark : arguments.tokens) {
        while (decoder.place() < mark) {
            if (decoder.longest() && decoder.place() >= *decoder.longest()) {
                result.note = fmt::format("built for one length, here {} tokens", *decoder.longest());
                tell();  // where it ended
                return result;
            }
            if (std::chrono::duration<double>(Clock::now() - begin).count() > arguments.seconds) {
                result.note = fmt::format("stopped after {:g} s at token {}", arguments.seconds, decoder.place());
                tell();  // where it ended
                return result;
            }
            const auto start = Clock::now();
            decoder.step(static_cast<std::int32_t>(random.below(kVocabulary)));
            recent[static_cast<std::size_t>((decoder.place() - 1) % kWindow)] =
                std::chrono::duration<double, std::milli>(Clock::now() - start).count();
            result.reached = decoder.place();
            if (result.reached % 100 == 0) progress.update(fmt::format("{}: token {}", info.name, result.reached));
        }
        tell();
    }
    return result;
}

Json jsonOf(const Decoded& decoded) {
    Json marks = Json::array();
    for (const Mark& mark : decoded.marks)
        marks.push_back(
            {{"tokens", mark.tokens}, {"ms_per_token", mark.milliseconds}, {"state_bytes", mark.stateBytes}});
    return {{"mechanism", decoded.mechanism},
            {"streaming", decoded.streaming},
            {"reached", decoded.reached},
            {"note", decoded.note},
            {"marks", std::move(marks)}};
}

}  // namespace

int runBenchDecode(const BenchDecodeArguments& given) {
    BenchDecodeArguments arguments = given;
    std::ranges::sort(arguments.tokens);
    require(arguments.width % arguments.heads == 0, "bench", "heads must divide width, but width is {} and heads {}",
            arguments.width, arguments.heads);
    std::vector<Decoded> results;
    ProgressLine progress;
    for (const MechanismInfo& info : mechanisms())
        if (info.traits.causal && (arguments.mechanism.empty() || arguments.mechanism == info.name))
            results.push_back(measure(info, arguments, progress));
    progress.finish();
    require(!results.empty(), "bench", "a mechanism with a causal form was expected, but \"{}\" has none",
            arguments.mechanism);
    if (arguments.json) {
        Json list = Json::array();
        for (const Decoded& result : results) list.push_back(jsonOf(result));
        printJson({{"bench", "decode"},
                   {"layers", arguments.layers},
                   {"width", arguments.width},
                   {"heads", arguments.heads},
                   {"seconds", arguments.seconds},
                   {"results", std::move(list)}});
        return 0;
    }
    fmt::print("{} layers, width {}, {} heads; one token at a time, median of the {} before the mark\n",
               arguments.layers, arguments.width, arguments.heads, kWindow);
    fmt::print("{:<24}{:>10}{:>14}{:>16}  {}\n", "mechanism", "tokens", "ms a token", "state bytes", "");
    for (const Decoded& result : results) {
        for (const Mark& mark : result.marks)
            fmt::print("{:<24}{:>10}{:>14.4f}{:>16}\n", result.mechanism, mark.tokens, mark.milliseconds,
                       mark.stateBytes);
        if (!result.note.empty()) fmt::print("{:<24}{:>10}  {}\n", result.mechanism, "", result.note);
    }
    return 0;
}

}  // namespace linscope::app

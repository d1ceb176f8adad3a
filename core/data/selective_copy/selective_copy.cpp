#include "core/data/selective_copy/selective_copy.h"

#include <cmath>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "selective_copy";

}  // namespace

void SelectiveCopyOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"length", "tokens", "T, with the answers' places at its end."}, length, {2, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.integer({"vocabulary", "tokens", "V: noise, the data tokens, and the marker."}, vocabulary, {4, 1 << 20});
    visitor.integer({"data", "tokens", "M, data tokens to be told at the end in their order."}, data, {1, 1 << 19});
}

SelectiveCopy::SelectiveCopy(const SelectiveCopyOptions& options, std::uint64_t seed)
    : SyntheticTask({kWhere, options.length, options.batch}, seed), m_options(options) {
    require(
        2 * options.data <= options.length, kWhere,
        "task.length must be at least twice task.data = {}, once to show the tokens and once to ask for them, but is "
        "{}",
        options.data, options.length);
    // Words alone, without their places: what is split into training and held-out data.
    requireVariety(std::pow(static_cast<double>(options.vocabulary - 2), static_cast<double>(options.data)), kWhere,
                   fmt::format("task.vocabulary = {} with task.data = {}", options.vocabulary, options.data));
}

void SelectiveCopy::draw(Random& random, Sample& sample) const {
    const std::int64_t shown = m_options.length - m_options.data;
    // Selection sampling (Knuth, TAOCP 2, §3.4.2, algorithm S): every set of places equally likely, in order.
    std::int64_t wanted = m_options.data;
    for (std::int64_t t = 0; t < shown; ++t) {
        if (random.below(shown - t) >= wanted) {
            sample.tokens.push_back(kNoise);
            continue;
        }
        --wanted;
        sample.tokens.push_back(static_cast<std::int32_t>(1 + random.below(m_options.vocabulary - 2)));
        sample.targets.push_back(sample.tokens.back());
    }
    sample.identity = sample.targets;
    for (std::int64_t i = 0; i < m_options.data; ++i) sample.places.push_back(shown + i);
    sample.tokens.resize(static_cast<std::size_t>(m_options.length), marker());
}

std::vector<TaskBaseline> SelectiveCopy::baselines() const {
    const double symbols = static_cast<double>(m_options.vocabulary - 2);
    return {{"validation_accuracy", "any data token", 1 / symbols},
            {"validation_loss", "any data token", std::log(symbols)}};
}

std::string SelectiveCopy::tokenText(std::int32_t token) const {
    checkToken(token);
    if (token == kNoise) return "·";
    return token == marker() ? "?" : symbolText(token - 1);
}

std::string SelectiveCopy::description() const {
    return fmt::format("selective copying: {} data tokens out of {} among {} places of noise", m_options.data,
                       m_options.vocabulary - 2, m_options.length - 2 * m_options.data);
}

TaskInfo selectiveCopyTask() {
    return {
        .name = "selective_copy",
        .title = "Selective copying",
        .summary = "Tells the data tokens among noise, in their order.",
        .options = specsOf<SelectiveCopyOptions>(),
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<SelectiveCopy>(optionsFrom<SelectiveCopyOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope

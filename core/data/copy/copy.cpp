#include "core/data/copy/copy.h"

#include <cmath>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "copy";

}  // namespace

void CopyOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"length", "tokens", "T, even: the word is half of it."}, length, {2, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.integer({"vocabulary", "tokens", "V: a blank, the symbols, and the separator."}, vocabulary, {4, 1 << 20});
    visitor.flag({"reverse", "", "Ask for the word backwards."}, reverse);
    visitor.integer({"offset", "tokens", "Symbols of the word to begin after, going round at its end."}, offset,
                    {0, 1 << 19});
}

Copy::Copy(const CopyOptions& options, std::uint64_t seed)
    : SyntheticTask({kWhere, options.length, options.batch}, seed), m_options(options) {
    require(options.length % 2 == 0, kWhere,
            "task.length must be even, one half for the word and one for its copy, but is {}", options.length);
    require(options.offset < word(), kWhere, "task.offset must be less than the word's {} symbols, but is {}", word(),
            options.offset);
    requireVariety(std::pow(static_cast<double>(options.vocabulary - 2), static_cast<double>(word())), kWhere,
                   fmt::format("task.vocabulary = {} with task.length = {}", options.vocabulary, options.length));
}

std::int64_t Copy::source(std::int64_t i) const {
    return ((m_options.reverse ? word() - 1 - i : i) + m_options.offset) % word();
}

void Copy::draw(Random& random, Sample& sample) const {
    const std::int64_t n = word();
    for (std::int64_t i = 0; i < n; ++i)
        sample.tokens.push_back(static_cast<std::int32_t>(1 + random.below(m_options.vocabulary - 2)));
    sample.identity = sample.tokens;
    sample.tokens.push_back(separator());
    sample.tokens.resize(static_cast<std::size_t>(2 * n), kBlank);
    for (std::int64_t i = 0; i < n; ++i) {
        sample.places.push_back(n + i);
        sample.targets.push_back(sample.tokens[static_cast<std::size_t>(source(i))]);
    }
}

std::vector<TaskBaseline> Copy::baselines() const {
    const double symbols = static_cast<double>(m_options.vocabulary - 2);
    return {{"validation_accuracy", "any symbol", 1 / symbols}, {"validation_loss", "any symbol", std::log(symbols)}};
}

std::string Copy::tokenText(std::int32_t token) const {
    checkToken(token);
    if (token == kBlank) return "·";
    return token == separator() ? "│" : symbolText(token - 1);
}

std::string Copy::description() const {
    return fmt::format("copying: words of {} symbols out of {}, {}{}", word(), m_options.vocabulary - 2,
                       m_options.reverse ? "backwards" : "forwards",
                       m_options.offset > 0 ? fmt::format(", turned by {}", m_options.offset) : "");
}

TaskInfo copyTask() {
    return {
        .name = "copy",
        .title = "Copy",
        .summary = "Repeats a word behind a separator, forwards, backwards or turned.",
        .options = specsOf<CopyOptions>(),
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<Copy>(optionsFrom<CopyOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope

#include "core/data/induction/induction.h"

#include <cmath>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "induction";

}  // namespace

void InductionOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"length", "tokens", "T, with the trigger at its end."}, length, {4, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.integer({"vocabulary", "tokens", "V: the ordinary tokens and the trigger."}, vocabulary, {3, 1 << 20});
}

Induction::Induction(const InductionOptions& options, std::uint64_t seed)
    : SyntheticTask({kWhere, options.length, options.batch}, seed), m_options(options) {
    // T − 2 ordinary tokens, and T − 2 places for the trigger.
    const double free = static_cast<double>(options.length - 2);
    requireVariety(free * std::pow(static_cast<double>(options.vocabulary - 1), free), kWhere,
                   fmt::format("task.vocabulary = {} with task.length = {}", options.vocabulary, options.length));
}

void Induction::draw(Random& random, Sample& sample) const {
    const std::int64_t length = m_options.length;
    const std::int64_t first = random.below(length - 2);
    for (std::int64_t t = 0; t + 1 < length; ++t)
        sample.tokens.push_back(t == first ? trigger() : static_cast<std::int32_t>(random.below(trigger())));
    sample.tokens.push_back(trigger());
    sample.identity = sample.tokens;
    sample.places.push_back(length - 1);
    sample.targets.push_back(sample.tokens[static_cast<std::size_t>(first + 1)]);
}

std::vector<TaskBaseline> Induction::baselines() const {
    const double ordinary = static_cast<double>(m_options.vocabulary - 1);
    return {{"validation_accuracy", "any ordinary token", 1 / ordinary},
            {"validation_loss", "any ordinary token", std::log(ordinary)}};
}

std::string Induction::tokenText(std::int32_t token) const {
    checkToken(token);
    return token == trigger() ? "⊢" : symbolText(token);
}

std::string Induction::description() const {
    return fmt::format("induction heads: one trigger among {} tokens out of {}", m_options.length - 2,
                       m_options.vocabulary - 1);
}

TaskInfo inductionTask() {
    return {
        .name = "induction",
        .title = "Induction heads",
        .summary = "Recalls what came behind a trigger token when it stood before.",
        .options = specsOf<InductionOptions>(),
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<Induction>(optionsFrom<InductionOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope

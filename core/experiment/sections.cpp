#include "core/experiment/sections.h"

#include <fmt/format.h>

#include <utility>

#include "core/attention/mechanism.h"
#include "core/base/precision.h"
#include "core/data/task.h"

namespace linscope {
namespace {

constexpr double kMostSteps = 1e9;

template <typename Infos>
std::vector<std::string> namesOf(const Infos& infos) {
    std::vector<std::string> names;
    for (const auto& info : infos) names.emplace_back(info.name);
    return names;
}

OptionSpec textSpec(std::string name, OptionType type, std::string standard, std::string help) {
    OptionSpec spec;
    spec.name = std::move(name);
    spec.type = type;
    spec.standard = std::move(standard);
    spec.help = std::move(help);
    return spec;
}

}  // namespace

void HeadOptions::visit(OptionVisitor& visitor) {
    visitor.text({"title", "", "What this run is called."}, title);
    visitor.integer({"seed", "", "Of all random streams: initial weights, batches and masks."}, seed, {.minimum = 0});
    visitor.integer({"steps", "steps", "Optimizer steps of the whole run."}, steps, {1, kMostSteps});
}

void ModelOptions::visit(OptionVisitor& visitor) {
    visitor.choice({"kind", "", "An encoder sees the whole sequence; a decoder's token i sees the tokens up to i."},
                   kind, {"encoder", "decoder"});
    visitor.integer({"layers", "layers", "Transformer blocks."}, layers, {1, 64});
    visitor.integer({"width", "channels", "C, the width of the residual stream."}, width, {1, 8192});
    visitor.integer({"heads", "heads", "H, attention heads in a layer; they divide the width."}, heads, {1, 256});
    visitor.integer({"mlp_ratio", "", "Hidden width of the MLP over C."}, mlpRatio, {1, 16});
    visitor.choice({"position", "", "How a token's place is encoded."}, position,
                   {kPositionNames.begin(), kPositionNames.end()});
    visitor.choice({"pool", "", "Where one prediction for a sequence is read: at its first token, or from the mean."},
                   pool, {"first", "mean"});
    visitor.integer({"short_convolution", "taps",
                     "Of a depthwise convolution along the tokens that begins each block, so that a key knows its "
                     "neighbours; 0: none. In an encoder it is centred, and odd."},
                    shortConvolution, {0, 16});
    visitor.choice(
        {"precision", "",
         "What factors of matrix products are rounded to; sums, weights and all else are in fp32. The processor "
         "has fp32 and bf16, which is no faster there; tf32 is a CUDA device's."},
        precision, {kPrecisionNames.begin(), kPrecisionNames.end()});
    visitor.flag({"activation_checkpointing", "",
                  "Keep of each block its input alone and compute the block again in the backward pass: the same "
                  "numbers with less memory and about a third more time."},
                 activationCheckpointing);
    visitor.flag({"deterministic", "",
                  "On a CUDA device use no library whose sums come in another order every time (cuDNN's attention, of "
                  "heads of width 64 and more in bf16): a run repeats to the bit, and exact attention is slower."},
                 deterministic);
}

void OptimizerOptions::visit(OptionVisitor& visitor) {
    visitor.real({"learning_rate", "", "Peak learning rate of AdamW."}, learningRate, {0, 10});
    visitor.choice({"schedule", "", "How the rate goes on after the warm-up."}, schedule, {"cosine", "constant"});
    visitor.integer({"warmup", "steps", "Steps in which the rate rises linearly to its peak."}, warmup,
                    {0, kMostSteps});
    visitor.real({"final_fraction", "", "Of the peak rate, at the last step of the cosine."}, finalFraction, {0, 1});
    visitor.real({"beta1", "", "Decay of the mean of gradients."}, beta1, {0, 0.999999});
    visitor.real({"beta2", "", "Decay of the mean of squared gradients."}, beta2, {0, 0.999999});
    visitor.real({"epsilon", "", "Added to the root of the mean square."}, epsilon, {1e-16, 1});
    visitor.real({"weight_decay", "", "Decoupled weight decay, times the rate."}, weightDecay, {0, 10});
    visitor.real({"clip", "", "Greatest norm of the whole gradient; 0 turns clipping off."}, clip, {0, 1e6});
}

void ProbeOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"every", "steps", "Between spectra, conditioning and drift."}, every, {1, kMostSteps});
    visitor.integer({"snapshot_every", "steps", "Between stored snapshots."}, snapshotEvery, {1, kMostSteps});
    visitor.integer({"validate_every", "steps", "Between validations."}, validateEvery, {1, kMostSteps});
    visitor.integer(
        {"validation_batches", "batches", "Held-out batches in one validation; before the first step it is one."},
        validationBatches, {1, 10000});
    visitor.integer({"samples", "sequences", "In a snapshot; at most the batch."}, samples, {1, 1024});
}

void CheckpointOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"every", "steps", "Between checkpoints; 0: only at the end and when asked for."}, every,
                    {0, kMostSteps});
    visitor.integer({"keep", "checkpoints", "Newest ones that stay on disk."}, keep, {1, 1000});
}

HeadOptions headOf(const Experiment& experiment) {
    return {experiment.title, experiment.seed, experiment.steps};
}

void setHead(Experiment& experiment, const HeadOptions& head) {
    experiment.title = head.title;
    experiment.seed = head.seed;
    experiment.steps = head.steps;
}

std::vector<OptionSpec> headSpecs() {
    std::vector<OptionSpec> specs = specsOf<HeadOptions>();
    const OptionValues standards = valuesOf(headOf(Experiment{}));
    for (OptionSpec& spec : specs) spec.standard = *findValue(standards, spec.name);
    return specs;
}

OptionSpec taskNameSpec() {
    OptionSpec spec = textSpec("name", OptionType::Choice, TaskConfig{}.name, "The registered task.");
    spec.choices = namesOf(tasks());
    return spec;
}

OptionSpec laneNameSpec() {
    return textSpec("name", OptionType::Text, "", "What the lane is called; no two alike.");
}

OptionSpec mechanismSpec() {
    OptionSpec spec =
        textSpec("mechanism", OptionType::Choice, LaneConfig{}.mechanism, "The registered attention mechanism.");
    spec.choices = namesOf(mechanisms());
    return spec;
}

OptionSpec withKey(OptionSpec spec, std::string key) {
    spec.name = std::move(key);
    return spec;
}

std::string Locations::of(std::string_view key) const {
    while (true) {
        if (const auto found = m_lines.find(key); found != m_lines.end())
            return fmt::format("{}:{}", m_name, found->second);
        const auto dot = key.rfind('.');
        if (dot == std::string_view::npos) return m_name;
        key = key.substr(0, dot);
    }
}

}  // namespace linscope

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/attention/attention_sizes.h"
#include "core/options/options.h"

namespace linscope {

struct ModelOptions {
    std::string kind = "encoder";
    std::int64_t layers = 2;
    std::int64_t width = 128;           // C
    std::int64_t heads = 4;             // H
    std::int64_t mlpRatio = 4;          ///< hidden width of the MLP over C
    std::string position = "learned";   ///< of kPositionNames
    std::string pool = "first";         ///< of a task with one prediction per sequence: "first" (CLS) or "mean"
    std::int64_t shortConvolution = 0;  ///< taps of a convolution along the tokens before each block; 0: none
    std::string precision = "fp32";     ///< of kPrecisionNames: what factors of matrix products are rounded to
    /// The backward pass computes each block again from its input in place of keeping it.
    bool activationCheckpointing = false;
    bool deterministic = false;  ///< on a device too, the same bits every time
    bool causal() const { return kind == "decoder"; }
    void visit(OptionVisitor& visitor);
};

struct OptimizerOptions {
    double learningRate = 1e-3;
    std::string schedule = "cosine";  ///< "cosine" to `finalFraction`, or "constant"
    std::int64_t warmup = 50;         ///< steps
    double finalFraction = 0.1;       ///< of the learning rate, at the last step
    double beta1 = 0.9, beta2 = 0.98, epsilon = 1e-8;
    double weightDecay = 0.01;
    double clip = 1.0;  ///< greatest norm of the whole gradient; 0 = off
    void visit(OptionVisitor& visitor);
};

struct ProbeOptions {
    std::int64_t every = 25;           ///< steps between spectra, conditioning and drift
    std::int64_t snapshotEvery = 100;  ///< steps between stored snapshots; a multiple of `every` is not required
    std::int64_t validateEvery = 50;   ///< steps between validations
    std::int64_t validationBatches = 4;
    std::int64_t samples = 1;  ///< sequences in a snapshot
    void visit(OptionVisitor& visitor);
};

struct CheckpointOptions {
    std::int64_t every = 200;  ///< steps; 0 = only at the end and when asked for
    std::int64_t keep = 2;     ///< newest checkpoints that stay on disk
    void visit(OptionVisitor& visitor);
};

struct TaskConfig {
    std::string name = "masked_bytes";
    OptionValues options;  ///< only what differs from the task's defaults, or all: both mean the same
};

struct LaneConfig {
    std::string name;
    std::string mechanism = "full";
    OptionValues options;  ///< of the mechanism
};

/// All that defines a run (design: one TOML file says everything).
struct Experiment {
    std::string title = "Untitled";
    std::int64_t seed = 1;
    std::int64_t steps = 2000;
    TaskConfig task;
    ModelOptions model;
    OptimizerOptions optimizer;
    ProbeOptions probes;
    CheckpointOptions checkpoint;
    std::vector<LaneConfig> lanes;

    /// Reads a file or text. Errors are `[FILE:LINE] key "task.lenght": …`. `name` stands for FILE.
    /// Every section is checked: names of tasks and mechanisms against the registries, option names,
    /// types and ranges, 1 to 6 lanes with names that differ, and what no single option can say
    /// (heads divide width, k ≤ length).
    static Experiment fromFile(const std::filesystem::path& path);
    static Experiment fromToml(std::string_view text, std::string_view name);

    /// The whole experiment with every default written out; fromToml(toToml()) is the same experiment.
    std::string toToml() const;

    /// Sets one dotted key (`task.length`, `lane.1.attention.k`, `optimizer.learning_rate`) from text,
    /// as `--set` and the editor do. Throws Error naming the key and what was expected. A new task or
    /// mechanism keeps the options that it shares with the old one by name; the others get its defaults.
    void set(std::string_view dottedKey, std::string_view text);

    /// The checks between options; called by fromToml, and by whoever has used set().
    void validate() const;

    /// Tokens per sequence T and sequences per batch B, which every task has as `length` and `batch`.
    std::int64_t length() const;
    std::int64_t batch() const;
    /// What every lane's mechanism is built for.
    AttentionSizes attentionSizes() const;
};

/// One editable value of an experiment, for the editor and for documentation. `spec.name` is the last part of
/// the key.
struct ExperimentField {
    std::string key;      ///< dotted, as for Experiment::set
    std::string section;  ///< "experiment" (title, seed, steps), "task", "model", …, "lane.0"
    OptionSpec spec;
    OptionValue value;
};
/// All of them in the order of the file, options of the task and the mechanisms with their defaults filled in.
/// Throws Error when the task or a mechanism is not registered.
std::vector<ExperimentField> fieldsOf(const Experiment& experiment);

}  // namespace linscope

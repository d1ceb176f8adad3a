#include "core/analysis/implied_map.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/attention/mechanism.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/data/task.h"
#include "core/io/run_file.h"
#include "core/train/lane.h"
#include "tests/support/mechanism_snapshots.h"
#include "tests/support/small_experiment.h"

namespace linscope {
namespace {

using test::allMechanisms;
using test::choicesOf;
using test::disturb;
using test::formsOf;
using test::snapshotOf;
using test::textOf;

constexpr std::int64_t kSamples = 2;

/// What the mechanism makes of the snapshot's own q, k and v, laid out as they are: [S,H,T,D].
std::vector<float> outputsOf(const Mechanism& mechanism, const Snapshot& s, int layer) {
    Arena arena;
    Tape tape(arena, false);
    const std::int64_t S = s.samples, H = s.heads, T = s.length, D = s.headWidth;
    const auto eachRow = [&](auto&& copy) {
        for (std::int64_t b = 0; b < S; ++b)
            for (std::int64_t h = 0; h < H; ++h)
                for (std::int64_t t = 0; t < T; ++t) copy(((b * H + h) * T + t) * D, ((b * T + t) * H + h) * D);
    };
    const auto input = [&](const std::vector<float>& values) {
        const Tensor x = arena.tensor({S, T, H, D});
        eachRow([&](std::int64_t from, std::int64_t to) { std::copy_n(values.data() + from, D, x.as<float>() + to); });
        return tape.constant(x);
    };
    const LayerSnapshot& values = s.layers[static_cast<std::size_t>(layer)];
    const Variable o =
        mechanism.forward({.layer = layer, .q = input(values.q), .k = input(values.k), .v = input(values.v)});
    std::vector<float> outputs(values.v.size());
    eachRow(
        [&](std::int64_t to, std::int64_t from) { std::copy_n(o.value().as<float>() + from, D, outputs.data() + to); });
    return outputs;
}

/// RMS(M·v − o)/RMS(o), the worst of all heads.
double worstHead(const Snapshot& s, int layer, const std::vector<float>& outputs) {
    double worst = 0;
    for (int sample = 0; sample < s.samples; ++sample)
        for (int head = 0; head < s.heads; ++head) {
            const Matrix map = impliedMap(s, layer, head, sample);
            const std::size_t at = static_cast<std::size_t>((sample * s.heads + head) * s.length * s.headWidth);
            const float* v = s.layers[static_cast<std::size_t>(layer)].v.data() + at;
            double error = 0, norm = 0;
            for (std::int64_t t = 0; t < s.length; ++t)
                for (std::int64_t d = 0; d < s.headWidth; ++d) {
                    double sum = 0;
                    for (std::int64_t j = 0; j < s.length; ++j)
                        sum += static_cast<double>(map.at(t, j)) * static_cast<double>(v[j * s.headWidth + d]);
                    const auto o = static_cast<double>(outputs[at + static_cast<std::size_t>(t * s.headWidth + d)]);
                    error += (sum - o) * (sum - o);
                    norm += o * o;
                }
            const double relative = std::sqrt(error / norm);
            if (!(relative <= worst)) worst = relative;  // NaN stays
        }
    return worst;
}

constexpr AttentionSizes kSizes{.layers = 2, .heads = 2, .headWidth = 8, .length = 43};

class ImpliedMaps : public testing::TestWithParam<const MechanismInfo*> {};

// The map of a snapshot is the map of the lane that it was taken of, wherever the training has led it.
TEST_P(ImpliedMaps, AreOfTheParametersAsTheyAre) {
    const MechanismInfo& info = *GetParam();
    // ctest runs programs side by side, whose threads would wait for each other.
    setThreadCount(1);
    int compared = 0;
    for (const AttentionSizes& sizes : formsOf(info, kSizes))
        for (const OptionValues& options : choicesOf(info, sizes)) {
            ParameterStore store(11);
            const auto mechanism = info.create(options, sizes, store);
            disturb(store);
            const Snapshot s = snapshotOf(info, options, sizes, *mechanism, store);
            if (!noTokenMap(s).empty()) continue;
            for (int layer = 0; layer < sizes.layers; ++layer)
                EXPECT_LT(worstHead(s, layer, outputsOf(*mechanism, s, layer)), 3e-5) << textOf(s);
            ++compared;
        }
    EXPECT_GT(compared, 0);
}

INSTANTIATE_TEST_SUITE_P(Registered, ImpliedMaps, testing::ValuesIn(allMechanisms()),
                         [](const auto& entry) { return std::string(entry.param->name); });

/// A lane as an experiment file makes it, on few tokens.
Experiment oneLane(const std::filesystem::path& text, const std::string& attention, bool causal,
                   const std::string& position) {
    return Experiment::fromToml(fmt::format(R"(
seed = 5
[task]
name = "{}"
corpus = "{}"
length = 32
batch = 3
[model]
kind = "{}"
position = "{}"
layers = 2
width = 16
heads = 2
[probes]
samples = {}
[[lane]]
name = "lane"
attention = {{ {} }}
)",
                                            causal ? "next_byte" : "masked_bytes", text.string(),
                                            causal ? "decoder" : "encoder", position, kSamples, attention),
                                "one lane");
}

struct LoggedCase {
    const char* name;
    const char* attention;
    bool causal;
    const char* position;
};
void PrintTo(const LoggedCase& logged, std::ostream* out) {
    *out << logged.name;
}

class LoggedMaps : public testing::TestWithParam<LoggedCase> {
protected:
    test::TemporaryFolder folder;
};

// From a lane through its run file to the map.
TEST_P(LoggedMaps, AreOfTheLaneThatWasLogged) {
    const Experiment experiment =
        oneLane(test::writeText(folder.path()), GetParam().attention, GetParam().causal, GetParam().position);
    const auto task = findTask(experiment.task.name).create(experiment.task.options, 5);
    Lane lane(experiment, 0, *task);
    const LaneConfig& config = lane.config();
    const auto path = folder.path() / "run.h5";
    RunFileWriter writer(path, experiment, *task,
                         {{config.name, config.mechanism, 1, lane.projections(), lane.attentionParameters()}});
    disturb(lane.parameters());
    Batch batch;
    task->nextBatch(batch);
    writer.onEvent(SnapshotEvent{lane.snapshot(batch, kSamples, 7), true});
    writer.flush();

    const Snapshot logged = RunFileReader(path).snapshot(0, 7);
    ParameterStore store(0);
    const auto mechanism = findMechanism(config.mechanism).create(config.options, experiment.attentionSizes(), store);
    for (Parameter& p : store.all())
        std::ranges::copy(lane.parameters().find(p.name)->value.span<float>(), p.value.as<float>());
    for (int layer = 0; layer < 2; ++layer)
        EXPECT_LT(worstHead(logged, layer, outputsOf(*mechanism, logged, layer)), 3e-5);

    Snapshot older = logged;
    older.parameters.clear();
    const auto problem = [&] {
        try {
            impliedMap(older, 0, 0, 0);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("none");
    };
    EXPECT_THAT(problem(), testing::HasSubstr("logged by an older version"));
    older = logged;
    older.parameters[0].shape.push_back(1);
    EXPECT_THAT(problem(), testing::HasSubstr("of shape"));
}

INSTANTIATE_TEST_SUITE_P(
    Some, LoggedMaps,
    testing::Values(
        LoggedCase{"gated_delta", "mechanism = \"gated_delta\", normalise = false", true, "learned"},
        LoggedCase{"reformer", "mechanism = \"reformer\", rounds = 2, buckets = 4, chunk = 8", false, "learned"},
        LoggedCase{"window", "mechanism = \"window\", window = 5", false, "relative_bias"},
        LoggedCase{"window_causal", "mechanism = \"window\", window = 5", true, "relative_bias"},
        LoggedCase{"hybrid", "mechanism = \"hybrid\", plan = \"linformer(k=4,kind=convolution)*1 + full | reformer\"",
                   false, "learned"}),
    [](const auto& entry) { return std::string(entry.param.name); });

// Runs of older versions lack nothing where a mechanism has no parameters, or projections alone.
TEST(ImpliedMapsOfOlderRuns, NeedNoMoreThanTheMechanismHas) {
    const AttentionSizes sizes{.layers = 1, .heads = 2, .headWidth = 8, .length = 20};
    for (const char* name : {"full", "nystrom", "performer"}) {
        const MechanismInfo& info = findMechanism(name);
        ParameterStore store(11);
        const OptionValues options = info.variants(sizes).front();
        const auto mechanism = info.create(options, sizes, store);
        const Snapshot s = snapshotOf(info, options, sizes, *mechanism, store);
        EXPECT_TRUE(s.parameters.empty()) << name;
        EXPECT_NO_THROW(impliedMap(s, 0, 0, 0)) << name;
    }
}

}  // namespace
}  // namespace linscope

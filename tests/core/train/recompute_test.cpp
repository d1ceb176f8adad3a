#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/autograd/recompute.h"
#include "core/autograd/release.h"
#include "core/data/task.h"
#include "core/ops/elementwise.h"
#include "core/train/lane.h"
#include "tests/support/small_experiment.h"

namespace linscope {
namespace {

/// What three steps leave behind.
struct Trained {
    std::vector<double> losses;
    std::vector<float> parameters;
    double memory = 0;
    std::int64_t allocationsAfterFirst = 0;
};

struct Setting {
    std::string mechanism;
    std::vector<std::pair<std::string, OptionValue>> options = {};
    bool causal = false;
    bool padded = false;
    std::int64_t taps = 0;
    std::string position = "learned";
    std::int64_t layers = 3;
    std::string precision = "fp32";
    std::int64_t length = 32;
};

class Recompute : public testing::Test {
protected:
    Trained train(const Setting& setting, bool checkpointing) {
        Experiment experiment = small;
        experiment.task.name = setting.causal ? "next_byte" : "masked_bytes";
        if (setting.causal)  // next_byte masks nothing
            std::erase_if(experiment.task.options, [](const auto& option) { return option.first == "mask_fraction"; });
        experiment.set("task.length", std::to_string(setting.length));
        experiment.model.kind = setting.causal ? "decoder" : "encoder";
        experiment.model.layers = setting.layers;
        experiment.model.shortConvolution = setting.taps;
        experiment.model.position = setting.position;
        experiment.model.precision = setting.precision;
        experiment.model.activationCheckpointing = checkpointing;
        experiment.lanes = {{.name = "one", .mechanism = setting.mechanism, .options = setting.options}};
        const auto task = findTask(experiment.task.name).create(experiment.task.options, 5);
        Lane lane(experiment, 0, *task);
        Trained result;
        Batch batch;
        for (int step = 1; step <= 3; ++step) {
            task->nextBatch(batch);
            if (setting.padded) {
                batch.keep.assign(static_cast<std::size_t>(batch.batch * batch.length), 1.0f);
                for (std::size_t i = 0; i < batch.keep.size(); ++i)
                    if (i % 7 == 3 || i % 32 > 25) batch.keep[i] = 0;
            }
            lane.beforeStep(step);
            const LaneStep stepped = lane.step(batch, step);
            result.losses.push_back(stepped.loss);
            result.memory = stepped.memoryBytes;
            result.allocationsAfterFirst -= step == 1 ? lane.heapAllocations() : 0;
        }
        result.allocationsAfterFirst += lane.heapAllocations();
        EXPECT_EQ(lane.state(), LaneState::Running) << lane.message();
        for (const Parameter& p : std::as_const(lane).parameters().all())
            for (const Tensor& t : {p.value, p.gradient, p.firstMoment, p.secondMoment})
                result.parameters.insert(result.parameters.end(), t.as<float>(), t.as<float>() + t.elements());
        return result;
    }
    test::TemporaryFolder folder;
    Experiment small = test::smallExperiment(test::writeText(folder.path()));
};

TEST_F(Recompute, TrainsToTheSameBitsWithLessMemory) {
    const Setting settings[] = {
        {"full"},
        {"full", {}, true, true, 4, "rotary"},
        {"full", {}, false, true, 3, "relative_bias"},
        {"linformer", {{"k", std::int64_t{8}}, {"sharing", std::string("layerwise")}}, false, true},
        {"performer", {{"redraw", std::int64_t{2}}}, true, true, 2},
        {"performer", {}, false, true},
        {"gated_delta", {}, true, false, 3},
        {"reformer", {}, true, true},
        {"nystrom", {{"landmarks", std::int64_t{8}}}, false, true},
        {"full", {}, true, true, 4, "rotary", 3, "bf16"},
        // What no vector of the processor divides: sums go by where a row begins in memory.
        {"performer", {{"m", std::int64_t{25}}}, false, true, 0, "learned", 3, "fp32", 27},
        {"performer", {{"m", std::int64_t{25}}}, true, false, 0, "learned", 3, "fp32", 27},
        {"linear", {{"features", std::string("hedgehog")}}, true, true, 0, "learned", 3, "fp32", 27},
        {"linear", {{"features", std::string("taylor")}}, false, true, 0, "learned", 3, "fp32", 27},
        {"linformer", {{"k", std::int64_t{7}}}, false, true, 0, "learned", 3, "fp32", 27},
        {"linformer_causal",
         {{"block", std::int64_t{7}}, {"slots", std::int64_t{3}}},
         true,
         true,
         0,
         "rotary",
         3,
         "fp32",
         27},
        {"retention", {}, true, true, 0, "learned", 3, "fp32", 27},
        {"gated_delta", {}, true, true, 0, "learned", 3, "fp32", 27},
        {"reformer", {{"chunk", std::int64_t{5}}}, false, true, 0, "learned", 3, "fp32", 27},
        {"nystrom", {{"landmarks", std::int64_t{7}}}, false, true, 0, "learned", 3, "fp32", 27},
        {"window", {{"window", std::int64_t{5}}}, true, true, 0, "alibi", 3, "fp32", 27},
    };
    for (const Setting& setting : settings) {
        SCOPED_TRACE(setting.mechanism + (setting.causal ? " decoder" : " encoder"));
        const Trained plain = train(setting, false), again = train(setting, true);
        EXPECT_EQ(plain.losses, again.losses);
        ASSERT_EQ(plain.parameters.size(), again.parameters.size());
        EXPECT_EQ(
            std::memcmp(plain.parameters.data(), again.parameters.data(), plain.parameters.size() * sizeof(float)), 0);
        EXPECT_LT(again.memory, plain.memory);
        EXPECT_EQ(again.allocationsAfterFirst, 0);
    }
}

// Each further block costs what it keeps: with checkpointing its output alone, beside its parameters.
TEST_F(Recompute, AFurtherBlockKeepsItsInputAlone) {
    const auto perBlock = [&](bool checkpointing) {
        const double few = train({.mechanism = "full", .layers = 4}, checkpointing).memory;
        return (train({.mechanism = "full", .layers = 12}, checkpointing).memory - few) / 8;
    };
    const double activation = 3 * 32 * 16 * 4;                             // [B,T,C]
    const double parameters = (4 * 16 * 17 + 2 * 64 * 16 + 80 + 64) * 16;  // with gradients and moments
    EXPECT_LT(perBlock(true), parameters + 1.1 * activation + 1024);       // and a few nodes of the tape
    EXPECT_GT(perBlock(false), parameters + 15 * activation);
}

TEST(Recomputed, AddsToTheGradientOfAnInputWithOtherUses) {
    Arena arena(true);
    const auto gradientOf = [&](auto way) {
        arena.reset();
        Tape tape(arena);
        const Tensor value = arena.tensor({2, 3}), gradient = arena.zeros({2, 3});
        for (int i = 0; i < 6; ++i) value.as<float>()[i] = static_cast<float>(i);
        const Variable x = tape.leaf(value, gradient);
        const auto function = [](const Variable& in) { return scale(add(in, scale(in, 3)), 0.5); };
        const Variable y = way(x, function);
        tape.backward(add(scale(x, 5), add(y, scale(y, 2))));
        return std::vector<float>(gradient.as<float>(), gradient.as<float>() + 6);
    };
    const std::vector<float> wanted(6, 11.0f);
    EXPECT_EQ(gradientOf([](const Variable& x, auto function) { return function(x); }), wanted);
    EXPECT_EQ(gradientOf([](const Variable& x, auto function) { return recomputed(x, function); }), wanted);
    EXPECT_EQ(gradientOf([](const Variable& x, auto function) { return released(x, function); }), wanted);
}

TEST(Released, AChainNeedsTheMemoryOfOneFunctionsGradients) {
    constexpr int kFunctions = 10, kScales = 4;
    constexpr std::int64_t kNumbers = 1024;
    const auto function = [](const Variable& in) {
        Variable x = in;
        for (int i = 0; i < kScales; ++i) x = scale(x, 1.5);
        return x;
    };
    const auto run = [&](auto way) {
        Arena arena(true);
        Tape tape(arena);
        const Tensor value = arena.zeros({kNumbers}), gradient = arena.zeros({kNumbers});
        Variable x = scale(tape.leaf(value, gradient), 1);
        for (int i = 0; i < kFunctions; ++i) x = way(x, function);
        tape.backward(x);
        return std::pair(gradient.as<float>()[7], static_cast<double>(arena.peakBytes()));
    };
    const auto [plain, all] = run([](const Variable& x, auto f) { return f(x); });
    const auto [released_, few] = run([](const Variable& x, auto f) { return released(x, f); });
    EXPECT_EQ(plain, released_);
    const double tensor = kNumbers * sizeof(float), values = (kFunctions * kScales + 3) * tensor;
    EXPECT_GT(all, values + kFunctions * kScales * tensor);
    EXPECT_LT(few, values + (kScales + 2) * tensor + 32 * 1024);  // and the tape's nodes
}

}  // namespace
}  // namespace linscope

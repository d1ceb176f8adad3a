#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/attention/proof_case.h"
#include "core/base/error.h"
#include "core/data/task.h"
#include "core/train/lane.h"
#include "tests/support/small_experiment.h"

namespace linscope {
namespace {

using namespace proofs;

// As in core/attention/proofs.cpp: ten factors, each off by at most 2⁻⁸ of its size.
constexpr double kBf16Bound = 4e-2;

class PrecisionTest : public testing::Test {
protected:
    /// The mean loss of the last ten of 100 steps.
    double trainedLoss(const std::string& mechanism, const std::string& precision) {
        experiment.steps = 100;
        experiment.model.precision = precision;
        experiment.lanes = {{.name = "one", .mechanism = mechanism, .options = {}}};
        const auto task = findTask(experiment.task.name).create(experiment.task.options, 5);
        Lane lane(experiment, 0, *task);
        Batch batch;
        double sum = 0;
        for (int step = 1; step <= 100; ++step) {
            task->nextBatch(batch);
            const double loss = lane.step(batch, step).loss;
            if (step > 90) sum += loss;
        }
        EXPECT_EQ(lane.state(), LaneState::Running) << lane.message();
        return sum / 10;
    }
    test::TemporaryFolder folder;
    Experiment experiment = test::smallExperiment(test::writeText(folder.path()));
};

// Gradients are off by about 0.5 % of their size in directions that differ from step to step; 100 such steps leave a
// loss that differs by less than that, while a run without learning is off by half.
TEST_F(PrecisionTest, Bf16TrainsToTheLossOfFp32) {
    for (const char* mechanism : {"full", "linear", "performer"}) {
        const double single = trainedLoss(mechanism, "fp32"), rounded = trainedLoss(mechanism, "bf16");
        EXPECT_NE(single, rounded) << mechanism << ": nothing was rounded";
        EXPECT_LT(std::abs(rounded - single), 5e-3 * single) << mechanism;
    }
}

TEST_F(PrecisionTest, Tf32IsRefusedByTheProcessor) {
    experiment.model.precision = "tf32";
    const auto task = findTask(experiment.task.name).create(experiment.task.options, 5);
    EXPECT_THROW(Lane(experiment, 0, *task), Error);
}

/// A case of linear attention with elu+1 and products in bfloat16.
Case linearCase(std::int64_t length, bool causal) {
    Case c;
    c.info = &findMechanism("linear");
    c.sizes = {.layers = 1, .heads = 2, .headWidth = 32, .length = length, .causal = causal};
    c.precision = Precision::Bf16;
    return c;
}

void expectNear(const Outcome& found, const Outcome& reference) {
    EXPECT_LT(relativeError(found.o, reference.o), kBf16Bound);
    EXPECT_LT(relativeError(found.dq, reference.dq), kBf16Bound);
    EXPECT_LT(relativeError(found.dk, reference.dk), kBf16Bound);
    EXPECT_LT(relativeError(found.dv, reference.dv), kBf16Bound);
}

// elu(x) + 1 in bfloat16 is 0 below −6, and so are all denominators; features are e^x, in single precision.
TEST(Bf16Hazards, FeaturesOfVeryNegativeInputsDoNotCancel) {
    for (const bool causal : {false, true}) {
        const Case c = linearCase(200, causal);
        Inputs inputs = randomInputs(c);
        for (Numbers* numbers : {&inputs.q, &inputs.k})
            for (double& x : *numbers) x -= 8;
        expectNear(run(c, inputs, Form::Fused, DType::F32), run(c, inputs, Form::Naive, DType::F64));
    }
}

// A sum of ones in bfloat16 stays at 256: the next term is below half a step. The mean of values that are all 1 tells.
TEST(Bf16Hazards, DenominatorsOfLongSequencesDoNotStall) {
    for (const bool causal : {false, true}) {
        const Case c = linearCase(4096, causal);
        Inputs inputs = randomInputs(c);
        for (double& x : inputs.k) x = 0;  // features are 1
        for (double& x : inputs.v) x = 1;
        const Outcome outcome = run(c, inputs, Form::Fused, DType::F32);
        for (const double o : outcome.o) ASSERT_NEAR(o, 1, kBf16Bound);
    }
}

}  // namespace
}  // namespace linscope

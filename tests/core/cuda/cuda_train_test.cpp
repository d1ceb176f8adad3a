#include <cmath>
#include <cstring>
#include <tuple>
#include <vector>

#include "core/base/error.h"
#include "core/cuda/context.h"
#include "core/data/task.h"
#include "core/train/checkpoint_state.h"
#include "core/train/lane.h"
#include "core/train/trainer.h"
#include "tests/core/cuda/cuda_test.h"
#include "tests/support/small_experiment.h"

namespace linscope {
namespace {

class CudaTrain : public test::CudaTest {
protected:
    test::TemporaryFolder folder;
    Experiment experiment = test::smallExperiment(test::writeText(folder.path()));

    std::unique_ptr<Task> task() const {
        return findTask(experiment.task.name)
            .create(experiment.task.options, static_cast<std::uint64_t>(experiment.seed));
    }
};

std::vector<float> weights(Trainer& trainer) {
    std::vector<float> all;
    for (std::size_t i = 0; i < trainer.laneCount(); ++i)
        for (const Parameter& p : trainer.lane(i).parameters().all())
            for (const Tensor& t : {p.value, p.firstMoment, p.secondMoment})
                all.insert(all.end(), t.as<float>(), t.as<float>() + t.elements());
    return all;
}

bool sameBits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Losses : public EventSink {
public:
    void onEvent(const Event& event) override {
        if (const auto* step = std::get_if<StepEvent>(&event))
            for (const LaneStep& lane : step->lanes)
                for (const double x : {lane.loss, lane.accuracy, lane.gradientNorm, lane.learningRate})
                    values.push_back(x);
        if (const auto* validation = std::get_if<ValidationEvent>(&event))
            for (const double x : {validation->loss, validation->accuracy}) values.push_back(x);
        if (const auto* snapshot = std::get_if<SnapshotEvent>(&event))
            for (const LayerSnapshot& layer : snapshot->snapshot->layers)
                for (const auto* part : {&layer.q, &layer.k, &layer.v})
                    values.insert(values.end(), part->begin(), part->end());
    }
    std::vector<double> values;
};

// Of one sequence alone some gradients go where they belong at once.
TEST_F(CudaTrain, AWholeRunAgreesWithTheProcessor) {
    for (const bool alone : {false, true}) {
        for (auto& [name, value] : experiment.task.options)
            if (name == "batch" && alone) value = std::int64_t{1};
        Trainer here(experiment), there(experiment, Device::Cuda);
        Losses a, b;
        here.addListener(a);
        there.addListener(b);
        for (Trainer* trainer : {&here, &there}) {
            trainer->begin();
            while (!trainer->finished()) trainer->step();
        }
        ASSERT_EQ(a.values.size(), b.values.size());
        for (std::size_t i = 0; i < a.values.size(); ++i)
            ASSERT_NEAR(a.values[i], b.values[i], 2e-3 * std::max(1.0, std::abs(a.values[i])))
                << "value " << i << (alone ? ", one sequence" : "");
    }
}

TEST_F(CudaTrain, ReplaysGiveTheBitsOfEagerSteps) {
    const auto source = task();
    std::vector<Batch> batches(8);
    for (Batch& batch : batches) source->nextBatch(batch);
    for (std::size_t index = 0; index < experiment.lanes.size(); ++index) {
        Lane captured(experiment, index, *source, Device::Cuda), eager(experiment, index, *source, Device::Cuda);
        for (std::size_t i = 0; i < batches.size(); ++i) {
            const auto step = static_cast<std::int64_t>(i) + 1;
            eager.setProjectionsFrozen(false);  // forgets what was captured
            const LaneStep a = captured.step(batches[i], step), b = eager.step(batches[i], step);
            EXPECT_EQ(a.loss, b.loss) << "step " << step;
            EXPECT_EQ(a.gradientNorm, b.gradientNorm) << "step " << step;
        }
    }
}

TEST_F(CudaTrain, LossesInBf16StayNearTheProcessors) {
    const auto source = task();
    Experiment rounded = experiment;
    rounded.model.precision = "bf16";
    for (std::size_t index = 0; index < experiment.lanes.size(); ++index) {
        Lane here(experiment, index, *source), there(rounded, index, *source, Device::Cuda),
            again(rounded, index, *source, Device::Cuda);
        for (int step = 1; step <= 8; ++step) {
            Batch batch;
            source->nextBatch(batch);
            const LaneStep a = here.step(batch, step), b = there.step(batch, step), c = again.step(batch, step);
            EXPECT_NEAR(a.loss, b.loss, 1e-2) << "step " << step;
            EXPECT_EQ(b.loss, c.loss) << "step " << step;
            EXPECT_EQ(b.gradientNorm, c.gradientNorm) << "step " << step;
        }
        Batch batch;
        source->nextBatch(batch);
        EXPECT_FALSE(there.snapshot(batch, 1, 9)->layers[0].q.empty());
    }
}

class Checks : public EventSink {
public:
    void onEvent(const Event& event) override {
        if (const auto* check = std::get_if<DeviceCheckEvent>(&event)) all.push_back(*check);
    }
    std::vector<DeviceCheckEvent> all;
};

// Of a whole step, of an eager and of a captured one; bounds are some ten times what single precision and bfloat16
// leave.
TEST_F(CudaTrain, StepsComputedAgainOnTheProcessorAreNear) {
    for (const auto& [precision, loss, gradient] : {std::tuple("fp32", 1e-5, 1e-3), std::tuple("bf16", 1e-2, 0.5)}) {
        experiment.model.precision = precision;
        Trainer trainer(experiment, Device::Cuda);
        Checks checks;
        trainer.addListener(checks);
        trainer.checkDevice(1);
        for (int step = 0; step < 4; ++step) trainer.step();
        ASSERT_EQ(checks.all.size(), 4 * experiment.lanes.size());
        for (const DeviceCheckEvent& check : checks.all) {
            EXPECT_LT(check.lossError, loss) << precision << " step " << check.step;
            EXPECT_LT(check.worstError, gradient) << precision << " step " << check.step << " " << check.worstParameter;
            EXPECT_GT(check.worstError, 0);  // it is another computation
        }
    }
}

// With values below and above the size from which memory is spared (core/ops/residual_cuda.cu).
TEST_F(CudaTrain, BlocksThatAreComputedAgainHaveTheSameBits) {
    for (const auto& [length, width, precision] :
         {std::tuple(32, 16, "fp32"), std::tuple(32, 16, "bf16"), std::tuple(4096, 256, "bf16")}) {
        experiment = test::smallExperiment(test::writeText(folder.path(), 4000));
        for (auto& [name, value] : experiment.task.options) {
            if (name == "length") value = std::int64_t{length};
            if (name == "batch") value = std::int64_t{4};
        }
        experiment.model.width = width;
        experiment.model.precision = precision;
        experiment.model.deterministic = true;
        Experiment again = experiment;
        again.model.activationCheckpointing = true;
        const auto source = task();
        for (std::size_t index = 0; index < experiment.lanes.size(); ++index) {
            Lane plain(experiment, index, *source, Device::Cuda), checkpointed(again, index, *source, Device::Cuda);
            for (int step = 1; step <= 3; ++step) {
                Batch batch;
                source->nextBatch(batch);
                const LaneStep a = plain.step(batch, step), b = checkpointed.step(batch, step);
                EXPECT_EQ(a.loss, b.loss) << length << " tokens, " << precision << ", step " << step;
                EXPECT_EQ(a.gradientNorm, b.gradientNorm) << length << " tokens, " << precision << ", step " << step;
            }
        }
    }
}

TEST_F(CudaTrain, StepsAfterTheFirstTakeNoMemory) {
    const auto source = task();
    Lane lane(experiment, 0, *source, Device::Cuda);
    Batch batch;
    source->nextBatch(batch);
    lane.step(batch, 1);
    const std::int64_t blocks = lane.heapAllocations();
    for (int step = 2; step < 8; ++step) {
        source->nextBatch(batch);
        lane.step(batch, step);
    }
    EXPECT_EQ(lane.heapAllocations(), blocks);
}

TEST_F(CudaTrain, BatchesOfSeveralFormsTakeTurns) {
    const auto source = task();
    Lane here(experiment, 1, *source), there(experiment, 1, *source, Device::Cuda);
    for (int step = 1; step < 12; ++step) {
        Batch batch;
        source->nextBatch(batch);
        const auto count = batch.selected.size() - static_cast<std::size_t>(step % 3);
        batch.selected.resize(count);
        batch.targets.resize(count);
        if (step % 2 == 0) {
            batch.keep.assign(batch.tokens.size(), 1.0f);
            batch.keep[5] = 0;
        }
        const LaneStep a = here.step(batch, step), b = there.step(batch, step);
        EXPECT_NEAR(a.loss, b.loss, 1e-4) << "step " << step;
        EXPECT_NEAR(a.gradientNorm, b.gradientNorm, 1e-3) << "step " << step;
    }
}

TEST_F(CudaTrain, FrozenProjectionsStay) {
    Trainer trainer(experiment, Device::Cuda);
    for (int i = 0; i < 3; ++i) trainer.step();
    trainer.lane(1).setProjectionsFrozen(true);
    const auto before = trainer.lane(1).projections();
    for (int i = 0; i < 3; ++i) trainer.step();
    EXPECT_EQ(trainer.lane(1).projections()[0].values, before[0].values);
    trainer.lane(1).setProjectionsFrozen(false);
    trainer.step();
    EXPECT_NE(trainer.lane(1).projections()[0].values, before[0].values);
}

TEST_F(CudaTrain, ACheckpointGoesOnWithTheSameBits) {
    Trainer whole(experiment, Device::Cuda);
    for (int i = 0; i < 10; ++i) whole.step();
    Trainer first(experiment, Device::Cuda), second(experiment, Device::Cuda);
    first.setCheckpointFolder(folder.path() / "c");
    for (int i = 0; i < 6; ++i) first.step();
    first.saveCheckpoint();
    second.loadCheckpoint(folder.path() / "c" / checkpointName(6));
    for (int i = 6; i < 10; ++i) second.step();
    EXPECT_TRUE(sameBits(weights(whole), weights(second)));
}

TEST_F(CudaTrain, ADivergedLaneStopsAloneAndNamesTheTensor) {
    Trainer trainer(experiment, Device::Cuda);
    for (int i = 0; i < 6; ++i) trainer.step();
    trainer.lane(1).parameters().find("blocks.1.mlp.up.weight")->value.as<float>()[3] = std::nanf("");
    const auto before = weights(trainer);
    trainer.step();
    EXPECT_EQ(trainer.lane(0).state(), LaneState::Running);
    EXPECT_EQ(trainer.lane(1).state(), LaneState::Diverged);
    EXPECT_EQ(trainer.lane(1).message(), "blocks.1.mlp.up.weight (value)");
    trainer.step();

    Trainer other(experiment, Device::Cuda);
    for (float& x : other.lane(0).parameters().find("blocks.0.attention.value.weight")->value.span<float>()) x = 3e38f;
    other.step();
    EXPECT_EQ(other.lane(0).state(), LaneState::Diverged);
    EXPECT_EQ(other.lane(0).message(), "blocks.0.value (activation)");
}

TEST_F(CudaTrain, ATokenBeyondTheVocabularyIsRefused) {
    const auto source = task();
    Lane lane(experiment, 0, *source, Device::Cuda);
    Batch batch;
    source->nextBatch(batch);
    batch.tokens[3] = 1 << 20;
    EXPECT_THROW(lane.step(batch, 1), Error);
}

TEST_F(CudaTrain, WithoutMemoryALaneFailsAndTheOthersGoOn) {
    Trainer trainer(experiment, Device::Cuda);
    const auto source = task();
    Batch batch;
    for (int step = 1; step <= 3; ++step) {  // lane 0 has its memory and its graph
        source->nextBatch(batch);
        trainer.lane(0).step(batch, step);
    }
    DeviceContext hog;
    std::vector<void*> taken;
    for (std::size_t size = std::size_t{64} << 30; size >= std::size_t{16} << 20; size /= 2) try {
            for (;;) taken.push_back(hog.allocate(size));
        } catch (const Error&) {  // no more of that size
        }
    trainer.step();
    EXPECT_EQ(trainer.lane(0).state(), LaneState::Running) << trainer.lane(0).message();
    EXPECT_EQ(trainer.lane(1).state(), LaneState::Failed);
    EXPECT_NE(trainer.lane(1).message().find("MB of the device's memory were required"), std::string::npos)
        << trainer.lane(1).message();
    for (void* memory : taken) hog.release(memory);
    trainer.step();
    EXPECT_EQ(trainer.lane(0).state(), LaneState::Running) << trainer.lane(0).message();
}

}  // namespace
}  // namespace linscope

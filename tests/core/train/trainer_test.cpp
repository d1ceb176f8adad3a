#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <thread>

#include "core/base/error.h"
#include "core/data/task.h"
#include "core/train/checkpoint_state.h"
#include "core/train/lane.h"
#include "core/train/runner.h"
#include "core/train/trainer.h"
#include "tests/support/small_experiment.h"

namespace linscope {
namespace {

class Recorder : public EventSink {
public:
    void onEvent(const Event& event) override {
        events.push_back(event);
        if (hook) hook(event);
    }
    template <typename T>
    std::vector<T> all() const {
        std::vector<T> found;
        for (const Event& event : events)
            if (const T* e = std::get_if<T>(&event)) found.push_back(*e);
        return found;
    }
    std::vector<Event> events;
    std::function<void(const Event&)> hook;
};

class TrainerTest : public testing::Test {
protected:
    test::TemporaryFolder folder;
    Experiment experiment = test::smallExperiment(test::writeText(folder.path()));
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

TEST_F(TrainerTest, LanesStartFromTheSameValues) {
    Trainer trainer(experiment);
    for (const Parameter& p : trainer.lane(0).parameters().all()) {
        const Parameter* twin = trainer.lane(1).parameters().find(p.name);
        ASSERT_NE(twin, nullptr) << p.name;
        EXPECT_EQ(std::memcmp(p.value.raw(), twin->value.raw(), static_cast<std::size_t>(p.value.bytes())), 0)
            << p.name;
    }
}

TEST_F(TrainerTest, LossFallsInBothLanes) {
    experiment.steps = 150;
    experiment.set("optimizer.learning_rate", "0.01");
    Trainer trainer(experiment);
    Recorder recorder;
    trainer.addListener(recorder);
    CommandQueue commands;
    EXPECT_EQ(runTrainer(trainer, commands), RunState::Finished);
    const auto steps = recorder.all<StepEvent>();
    ASSERT_EQ(steps.size(), 150u);
    for (std::size_t lane = 0; lane < 2; ++lane) {
        EXPECT_NEAR(steps[0].lanes[lane].loss, std::log(257.0), 0.3);
        EXPECT_LT(steps.back().lanes[lane].loss, 3.3);
    }
}

TEST_F(TrainerTest, EmitsWhatIsDue) {
    Trainer trainer(experiment);
    Recorder recorder;
    trainer.addListener(recorder);
    CommandQueue commands;
    runTrainer(trainer, commands);
    std::vector<std::int64_t> validated, probed, stored;
    for (const auto& e : recorder.all<ValidationEvent>())
        if (e.lane == 0) validated.push_back(e.step);
    for (const auto& e : recorder.all<ProbeEvent>()) probed.push_back(e.step);
    for (const auto& e : recorder.all<SnapshotEvent>())
        if (e.store && e.snapshot->lane == 1) stored.push_back(e.snapshot->step);
    EXPECT_THAT(validated, testing::ElementsAre(0, 5, 10, 12));
    EXPECT_THAT(probed, testing::ElementsAre(0, 4, 8, 12));  // "full" has no projections
    EXPECT_THAT(stored, testing::ElementsAre(0, 6, 12));
    const auto first = recorder.all<ProbeEvent>().front();
    EXPECT_EQ(first.projections.size(), 4u);  // E and F of two layers
    EXPECT_NEAR(first.projections[0].health.frobeniusDrift, 0, 1e-12);
    EXPECT_GT(recorder.all<ProbeEvent>().back().projections[0].health.frobeniusDrift, 1e-6);
}

TEST_F(TrainerTest, PauseIsExactAndStepIsSingle) {
    Trainer trainer(experiment);
    Recorder recorder;
    CommandQueue commands;
    std::vector<std::int64_t> pausedAt;
    recorder.hook = [&](const Event& event) {
        if (const auto* step = std::get_if<StepEvent>(&event); step && step->step == 3)
            commands.post({CommandKind::Pause});
        if (const auto* state = std::get_if<RunStateEvent>(&event); state && state->state == RunState::Paused) {
            pausedAt.push_back(state->step);
            commands.post({pausedAt.size() == 1 ? CommandKind::Step : CommandKind::Stop});
        }
    };
    trainer.addListener(recorder);
    EXPECT_EQ(runTrainer(trainer, commands), RunState::Stopped);
    EXPECT_THAT(pausedAt, testing::ElementsAre(3, 4));
    EXPECT_EQ(trainer.currentStep(), 4);
    std::vector<std::string> names;
    for (const auto& e : recorder.all<CommandEvent>()) names.push_back(e.name);
    EXPECT_THAT(names, testing::ElementsAre("pause", "step", "stop"));
}

TEST_F(TrainerTest, CommandsAreLoggedWithOldAndNew) {
    Trainer trainer(experiment);
    Recorder recorder;
    trainer.addListener(recorder);
    trainer.step();
    const auto before = trainer.lane(1).projections()[0].values;
    trainer.apply({.kind = CommandKind::Freeze});
    trainer.apply({.kind = CommandKind::SetLearningRate, .value = 0.5});
    trainer.step();
    EXPECT_EQ(trainer.lane(1).projections()[0].values, before);
    trainer.apply({.kind = CommandKind::Unfreeze});
    trainer.step();
    EXPECT_NE(trainer.lane(1).projections()[0].values, before);
    const auto commands = recorder.all<CommandEvent>();
    ASSERT_EQ(commands.size(), 3u);
    EXPECT_EQ(commands[0].name, "freeze");
    EXPECT_EQ(commands[1].oldValue, "0.001");
    EXPECT_EQ(commands[1].newValue, "0.5");
    EXPECT_EQ(commands[1].step, 1);
}

TEST_F(TrainerTest, ResumeIsBitIdentical) {
    Trainer whole(experiment);
    whole.setCheckpointFolder(folder.path() / "c");
    for (int i = 0; i < 12; ++i) {
        if (i == 4) whole.apply({.kind = CommandKind::SetLearningRate, .value = 0.002});
        if (i == 4) whole.apply({.kind = CommandKind::Freeze, .lane = 1});
        whole.step();
    }
    Trainer resumed(experiment);
    resumed.loadCheckpoint(folder.path() / "c" / checkpointName(5));
    EXPECT_EQ(resumed.currentStep(), 5);
    EXPECT_TRUE(resumed.lane(1).projectionsFrozen());
    for (int i = 5; i < 12; ++i) resumed.step();
    EXPECT_TRUE(sameBits(weights(whole), weights(resumed)));
}

TEST_F(TrainerTest, ProbesAndSnapshotsChangeNothing) {
    Trainer plain(experiment), watched(experiment);
    for (int i = 0; i < 6; ++i) {
        plain.step();
        watched.emitLiveSnapshots();
        watched.step();
    }
    EXPECT_TRUE(sameBits(weights(plain), weights(watched)));
}

TEST_F(TrainerTest, CheckpointOfAnotherExperimentIsRefused) {
    Trainer a(experiment);
    a.setCheckpointFolder(folder.path() / "c");
    a.saveCheckpoint();
    experiment.set("model.width", "32");
    Trainer b(experiment);
    const auto before = weights(b);
    EXPECT_THROW(b.loadCheckpoint(folder.path() / "c" / checkpointName(0)), Error);
    EXPECT_TRUE(sameBits(before, weights(b)));
}

TEST_F(TrainerTest, DivergedLaneStopsAloneAndNamesTheTensor) {
    Trainer trainer(experiment);
    Recorder recorder;
    trainer.addListener(recorder);
    trainer.setCheckpointFolder(folder.path() / "c");
    for (int i = 0; i < 6; ++i) trainer.step();
    trainer.lane(1).parameters().find("blocks.1.mlp.up.weight")->value.as<float>()[3] = std::nanf("");
    trainer.step();
    trainer.step();
    const auto states = recorder.all<LaneStateEvent>();
    ASSERT_EQ(states.size(), 1u);
    EXPECT_EQ(states[0].lane, 1);
    EXPECT_EQ(states[0].step, 7);
    EXPECT_EQ(states[0].state, LaneState::Diverged);
    EXPECT_EQ(states[0].message, "blocks.1.mlp.up.weight (value)");
    const auto last = recorder.all<StepEvent>().back();
    EXPECT_TRUE(last.lanes[0].stepped);
    EXPECT_FALSE(last.lanes[1].stepped);
    EXPECT_TRUE(std::isnan(last.lanes[1].loss));
    for (int i = 8; i < 12; ++i) trainer.step();
    trainer.saveCheckpoint();
    trainer.saveCheckpoint();
    EXPECT_TRUE(std::filesystem::exists(folder.path() / "c" / checkpointName(5))) << "the last good checkpoint is kept";
}

TEST_F(TrainerTest, TheLastGoodCheckpointOfEveryLaneOutlivesAResume) {
    const auto breakLane = [](Trainer& trainer, std::size_t lane) {
        trainer.lane(lane).parameters().find("blocks.1.mlp.up.weight")->value.as<float>()[3] = std::nanf("");
    };
    experiment.steps = 100;
    experiment.lanes.push_back(experiment.lanes[0]);
    experiment.lanes[2].name = "third";
    const auto checkpoints = folder.path() / "c";
    {
        Trainer trainer(experiment);
        trainer.setCheckpointFolder(checkpoints);
        for (int i = 0; i < 6; ++i) trainer.step();
        breakLane(trainer, 1);
        for (int i = 6; i < 11; ++i) trainer.step();
        breakLane(trainer, 2);
        for (int i = 11; i < 16; ++i) trainer.step();
    }
    Trainer resumed(experiment);
    resumed.setCheckpointFolder(checkpoints);
    resumed.loadCheckpoint(listCheckpoints(checkpoints).back().second);
    for (int i = 0; i < 25; ++i) resumed.step();
    EXPECT_TRUE(std::filesystem::exists(checkpoints / checkpointName(5)));
    EXPECT_TRUE(std::filesystem::exists(checkpoints / checkpointName(10)));
    EXPECT_FALSE(std::filesystem::exists(checkpoints / checkpointName(15)));
}

TEST_F(TrainerTest, CheckpointsOfLaterStepsAreNotCountedAsTheNewest) {
    const auto checkpoints = folder.path() / "c";
    Trainer trainer(experiment);
    trainer.setCheckpointFolder(checkpoints);
    trainer.saveCheckpoint();
    for (int i = 0; i < 4; ++i) trainer.step();
    // Damaged ones, which whoever went on from an earlier one has passed over.
    for (const int step : {20, 25, 30}) std::ofstream(checkpoints / checkpointName(step)) << "cut off";
    trainer.step();
    trainer.saveCheckpoint();
    EXPECT_TRUE(std::filesystem::exists(checkpoints / checkpointName(5)));
    EXPECT_TRUE(std::filesystem::exists(checkpoints / checkpointName(30)));
}

TEST_F(TrainerTest, BitsPerByteAreToldWhereAnswersAreBytes) {
    const auto bitsOf = [](const Experiment& of) {
        Trainer trainer(of);
        Recorder recorder;
        trainer.addListener(recorder);
        trainer.validate();
        return recorder.all<ValidationEvent>().front();
    };
    const ValidationEvent ofBytes = bitsOf(experiment);
    EXPECT_DOUBLE_EQ(ofBytes.bitsPerByte, ofBytes.loss / std::numbers::ln2);
    experiment.set("task.name", "induction");
    EXPECT_TRUE(std::isnan(bitsOf(experiment).bitsPerByte));
}

TEST_F(TrainerTest, DivergenceNamesAnActivationWhenParametersAreFinite) {
    Trainer trainer(experiment);
    for (float& x : trainer.lane(0).parameters().find("blocks.0.attention.value.weight")->value.span<float>())
        x = 3e38f;
    trainer.step();
    EXPECT_EQ(trainer.lane(0).state(), LaneState::Diverged);
    EXPECT_EQ(trainer.lane(0).message(), "blocks.0.value (activation)");
}

TEST_F(TrainerTest, ARunWithoutALaneThatRunsIsFinished) {
    Trainer trainer(experiment);
    trainer.step();
    for (std::size_t i = 0; i < trainer.laneCount(); ++i) {
        EXPECT_FALSE(trainer.finished());
        trainer.lane(i).parameters().find("blocks.0.mlp.up.weight")->value.as<float>()[0] = std::nanf("");
        if (i == 0) trainer.step();
    }
    CommandQueue commands;
    EXPECT_EQ(runTrainer(trainer, commands), RunState::Finished);
    EXPECT_EQ(trainer.currentStep(), 3);
}

TEST_F(TrainerTest, AFailedLaneIsLeftAloneAndTheOthersGoOn) {
    Trainer trainer(experiment);
    Recorder recorder;
    trainer.addListener(recorder);
    trainer.setCheckpointFolder(folder.path() / "c");
    trainer.begin();
    trainer.step();
    trainer.lane(1).fail("[cuda] no device");
    trainer.emitLiveSnapshots();
    trainer.step();
    trainer.saveCheckpoint();
    const auto states = recorder.all<LaneStateEvent>();
    ASSERT_EQ(states.size(), 1u);
    EXPECT_EQ(states[0].lane, 1);
    EXPECT_EQ(states[0].state, LaneState::Failed);
    EXPECT_EQ(states[0].message, "[cuda] no device");
    EXPECT_EQ(recorder.all<SnapshotEvent>().back().snapshot->lane, 0);
    EXPECT_TRUE(recorder.all<StepEvent>().back().lanes[0].stepped);
    EXPECT_FALSE(trainer.finished());
    Trainer again(experiment);
    again.loadCheckpoint(folder.path() / "c" / checkpointName(2));
    EXPECT_EQ(again.lane(1).state(), LaneState::Failed);
    trainer.lane(0).fail("[cuda] no device");
    EXPECT_TRUE(trainer.finished());
    trainer.step();
    trainer.saveCheckpoint();
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "c" / checkpointName(3))) << "nothing of it could go on";
}

// A listener whose disk is full for a while: training waits, nothing is lost, then goes on.
class FullDisk : public Recorder {
public:
    void onEvent(const Event& event) override {
        Recorder::onEvent(event);
        if (const auto* step = std::get_if<StepEvent>(&event); step && step->step == 2) full = true;
        if (full) throw StorageFull("[run file] no room");
    }
    void flush() override {
        if (full && ++tries < 2) throw StorageFull("[run file] no room");
        full = false;
    }
    bool full = false;
    int tries = 0;
};

TEST_F(TrainerTest, WaitsForRoomOnTheDisk) {
    experiment.steps = 4;
    Trainer trainer(experiment);
    FullDisk disk;
    trainer.addListener(disk);
    CommandQueue commands;
    EXPECT_EQ(runTrainer(trainer, commands), RunState::Finished);
    EXPECT_EQ(disk.tries, 2);
    std::vector<RunState> states;
    for (const auto& e : disk.all<RunStateEvent>()) states.push_back(e.state);
    EXPECT_THAT(states,
                testing::ElementsAre(RunState::Running, RunState::Waiting, RunState::Running, RunState::Finished));
    EXPECT_EQ(disk.all<StepEvent>().size(), 4u);
}

// What a reader finds last is how the run ended, and not that it waited.
TEST_F(TrainerTest, ARunThatEndsOnAFullDiskHasEnded) {
    for (const bool stops : {false, true}) {
        experiment.steps = stops ? 4 : 1;
        Trainer trainer(experiment);
        FullDisk disk;
        CommandQueue commands;
        disk.hook = [&](const Event& event) {
            const auto* run = std::get_if<RunStateEvent>(&event);
            if (run && run->state == RunState::Finished && disk.tries == 0) disk.full = true;
            if (!stops || !run || run->state != RunState::Waiting) return;
            disk.tries = -1000;
            commands.post({.kind = CommandKind::Stop});
        };
        trainer.addListener(disk);
        const RunState end = stops ? RunState::Stopped : RunState::Finished;
        EXPECT_EQ(runTrainer(trainer, commands), end);
        EXPECT_NE(disk.tries, 0);
        EXPECT_EQ(disk.all<RunStateEvent>().back().state, end);
    }
}

// A listener whose file is taken away: the run stops in good order, and then says so.
TEST_F(TrainerTest, StopsWhereAFileIsLost) {
    Trainer trainer(experiment);
    Recorder recorder;
    recorder.hook = [](const Event& event) {
        if (const auto* step = std::get_if<StepEvent>(&event); step && step->step == 2)
            throw FileLost("[run file] gone");
    };
    trainer.addListener(recorder);
    trainer.setCheckpointFolder(folder.path() / "c", "0123");
    CommandQueue commands;
    EXPECT_THROW(runTrainer(trainer, commands), FileLost);
    EXPECT_EQ(recorder.all<StepEvent>().size(), 2u);
    EXPECT_EQ(recorder.all<RunStateEvent>().back().state, RunState::Stopped);
    const CheckpointOrigin origin = readCheckpointOrigin(folder.path() / "c" / checkpointName(2));
    EXPECT_EQ(origin.run, "0123");
    EXPECT_EQ(origin.experimentToml, experiment.toToml());
}

TEST_F(TrainerTest, SnapshotHoldsHeadsTokensAndProjections) {
    Trainer trainer(experiment);
    Batch batch;
    trainer.task().validationBatch(0, batch);
    const auto snapshot = trainer.lane(1).snapshot(batch, 2, 7);
    EXPECT_EQ(snapshot->step, 7);
    EXPECT_EQ(snapshot->samples, 2);
    EXPECT_EQ(snapshot->tokens.size(), 2u * 32);
    ASSERT_EQ(snapshot->layers.size(), 2u);
    EXPECT_EQ(snapshot->layers[1].q.size(), 2u * 2 * 32 * 8);
    ASSERT_NE(snapshot->projection("F", 1, 0), nullptr);
    EXPECT_EQ(snapshot->projection("F", 1, 0)->label(), "F.layer1");
    EXPECT_EQ(trainer.lane(0).snapshot(batch, 1, 0)->projection("E", 0, 0), nullptr);
}

}  // namespace
}  // namespace linscope

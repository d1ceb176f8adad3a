#include "core/io/run_file.h"
#include "core/io/storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/core/io/synthetic_run.h"
#include "tests/core/io/test_folder.h"

namespace linscope {
namespace {

using synthetic::Sizes;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Series& seriesOf(const LaneRecord& lane, const std::string& name) {
    for (const Series& series : lane.metrics)
        if (series.name == name) return series;
    throw Error("no series " + name);
}

std::vector<CommandEvent> commandsOf(const RunFileReader& reader) {
    std::vector<CommandEvent> commands;
    for (const Event& event : reader.log())
        if (const auto* command = std::get_if<CommandEvent>(&event)) commands.push_back(*command);
    return commands;
}

class RunFile : public testing::Test {
protected:
    std::unique_ptr<RunFileWriter> make(RunFileOptions options = {}) {
        return std::make_unique<RunFileWriter>(path, synthetic::experiment(sizes),
                                               synthetic::SyntheticTask(sizes.length), synthetic::layouts(sizes),
                                               std::move(options));
    }
    void feed(EventSink& sink, std::int64_t first, std::int64_t last) {
        for (std::int64_t step = first; step <= last; ++step) synthetic::feed(sink, sizes, step);
    }
    TestFolder folder{"run_file"};
    std::filesystem::path path = folder.path() / "run.h5";
    Sizes sizes;
};

TEST_F(RunFile, GivesBackWhatWasLogged) {
    auto writer = make();
    feed(*writer, 1, 40);
    writer->onEvent(CommandEvent{40, -1, "set_learning_rate", "0.001", "0.0005"});
    writer->onEvent(RunStateEvent{40, RunState::Finished, ""});
    writer.reset();

    const RunFileReader reader(path);
    EXPECT_EQ(reader.experimentToml(), synthetic::experiment(sizes).toToml());
    EXPECT_EQ(reader.lastStep(), 40);
    EXPECT_EQ(reader.state(), RunState::Finished);
    EXPECT_EQ(reader.health(), RunHealth::Whole);
    EXPECT_EQ(reader.fileBytes(), std::filesystem::file_size(path));
    EXPECT_EQ(reader.vocabulary(), (std::vector<std::string>{"a", "␣", "⏎", "[MASK]"}));
    ASSERT_EQ(reader.baselines().size(), 1U);
    EXPECT_EQ(reader.baselines()[0].name, "unigram entropy of the corpus");
    EXPECT_EQ(reader.baselines()[0].value, 4.5);
    const std::vector<CommandEvent> commands = commandsOf(reader);
    ASSERT_EQ(commands.size(), 1U);
    EXPECT_EQ(commands[0].name, "set_learning_rate");
    EXPECT_EQ(commands[0].newValue, "0.0005");

    ASSERT_EQ(reader.lanes().size(), 2U);
    const LaneRecord& lane = reader.lanes()[1];
    EXPECT_EQ(lane.name, "linformer");
    EXPECT_EQ(lane.parameters, 1200);
    const Series& loss = seriesOf(lane, "loss");
    ASSERT_EQ(loss.steps.size(), 40U);
    for (std::size_t i = 0; i < 40; ++i) {
        EXPECT_EQ(loss.steps[i], static_cast<std::int64_t>(i) + 1);
        EXPECT_EQ(loss.values[i], synthetic::lossAt(loss.steps[i], 1));
    }
    EXPECT_EQ(loss.unit, "nat");
    EXPECT_EQ(seriesOf(lane, "step_milliseconds").values.back(), 100);
    EXPECT_EQ(seriesOf(lane, "validation_bits_per_byte").steps, (std::vector<std::int64_t>{10, 20, 30, 40}));

    ASSERT_EQ(lane.projections.size(), 2U);
    const ProjectionSeries& series = lane.projections[0];
    EXPECT_EQ(series.label, "E");
    ASSERT_EQ(series.steps.size(), 8U);
    EXPECT_EQ(series.spectrum[7], (std::vector<float>{8, 7, 6, 5, 4, 3, 2, 1}));
    EXPECT_EQ(series.angles[7].size(), 8U);
    EXPECT_EQ(series.measures.at("cosine")[7], 1.0 - 1e-3 * 40);
}

// A matrix that is higher than wide has fewer singular values than rows.
TEST_F(RunFile, GivesBackAsManySingularValuesAsThereAre) {
    auto writer = make();
    ProbeEvent event = synthetic::probeEvent(sizes, 5);
    event.projections[0].health.spectrum = {3, 2, 1};
    event.projections[0].health.principalAngles = {0.5F, 1};
    writer->onEvent(event);
    writer.reset();
    const ProjectionSeries series = RunFileReader(path).lanes()[1].projections[0];
    EXPECT_EQ(series.spectrum, (std::vector<std::vector<float>>{{3, 2, 1}}));
    EXPECT_EQ(series.angles, (std::vector<std::vector<float>>{{0.5F, 1}}));
}

TEST_F(RunFile, GivesBackSnapshotsExactly) {
    auto writer = make();
    feed(*writer, 1, 45);
    writer->flush();
    const RunFileReader reader(path);
    EXPECT_EQ(reader.lanes()[1].snapshotSteps, (std::vector<std::int64_t>{20, 40}));
    const Snapshot expected = *synthetic::snapshotEvent(sizes, 40, 1).snapshot;
    const Snapshot found = reader.snapshot(1, 40);
    EXPECT_EQ(found.mechanism, "linformer");
    EXPECT_EQ(found.tokens, expected.tokens);
    ASSERT_EQ(found.layers.size(), 2U);
    for (std::size_t layer = 0; layer < 2; ++layer) {
        EXPECT_EQ(found.layers[layer].q, expected.layers[layer].q);
        EXPECT_EQ(found.layers[layer].k, expected.layers[layer].k);
        EXPECT_EQ(found.layers[layer].v, expected.layers[layer].v);
    }
    ASSERT_EQ(found.projections.size(), 2U);
    EXPECT_EQ(found.projections[1].name, "F");
    EXPECT_EQ(found.projections[1].values, expected.projections[1].values);
    ASSERT_EQ(found.parameters.size(), 3U);
    for (const ParameterValues& parameter : expected.parameters) {
        const ParameterValues* read = found.parameter(parameter.name);
        ASSERT_NE(read, nullptr) << parameter.name;
        EXPECT_EQ(read->shape, parameter.shape);
        EXPECT_EQ(read->values, parameter.values);
    }
    try {
        (void)reader.snapshot(1, 30);
        FAIL() << "step 30 has no snapshot";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("20, 40"));
    }
}

TEST_F(RunFile, RefreshSeesWhatALivingWriterAdds) {
    auto writer = make();
    feed(*writer, 1, 3);
    writer->flush();
    RunFileReader reader(path);
    EXPECT_EQ(reader.lastStep(), 3);
    EXPECT_EQ(reader.health(), RunHealth::BeingWritten);
    feed(*writer, 4, 9);
    writer->flush();
    EXPECT_EQ(reader.lastStep(), 3);
    reader.refresh();
    EXPECT_EQ(reader.lastStep(), 9);
    writer.reset();
    reader.refresh();
    EXPECT_EQ(reader.health(), RunHealth::CutOff);
}

TEST_F(RunFile, APausedRunOfAKilledProgramIsCutOff) {
    auto writer = make();
    writer->onEvent(RunStateEvent{0, RunState::Paused, ""});
    EXPECT_EQ(RunFileReader(path).health(), RunHealth::BeingWritten);
    EXPECT_TRUE(isBeingWritten(path));
    EXPECT_STREQ(stateName(RunFileReader(path).state(), RunHealth::BeingWritten), "paused");
    writer.reset();
    EXPECT_FALSE(isBeingWritten(path));
    EXPECT_EQ(RunFileReader(path).health(), RunHealth::CutOff);
    EXPECT_STREQ(stateName(RunFileReader(path).state(), RunHealth::CutOff), "cut off");
}

TEST_F(RunFile, AStoppedLaneIsNanAndSaysWhy) {
    auto writer = make();
    StepEvent step = synthetic::stepEvent(1);
    step.lanes[1].stepped = false;
    writer->onEvent(step);
    writer->onEvent(LaneStateEvent{1, 1, LaneState::Diverged, "blocks.0.mlp.up.weight"});
    const RunFileReader reader(path);
    EXPECT_TRUE(std::isnan(seriesOf(reader.lanes()[1], "loss").values[0]));
    EXPECT_EQ(seriesOf(reader.lanes()[0], "loss").values[0], synthetic::lossAt(1, 0));
    EXPECT_EQ(reader.lanes()[0].state, LaneState::Running);
    EXPECT_EQ(reader.lanes()[1].state, LaneState::Diverged);
    EXPECT_EQ(reader.lanes()[1].message, "blocks.0.mlp.up.weight");
}

TEST_F(RunFile, ResumeCutsLaterRowsAndGoesOn) {
    auto writer = make();
    feed(*writer, 1, 33);
    writer->onEvent(CommandEvent{12, -1, "pause", "", ""});
    writer->onEvent(CommandEvent{31, -1, "resume", "", ""});
    writer->onEvent(LaneStateEvent{33, 1, LaneState::Diverged, "loss"});
    writer.reset();

    writer = RunFileWriter::resume(path, 25);
    {
        const RunFileReader reader(path);
        EXPECT_EQ(seriesOf(reader.lanes()[0], "loss").steps.back(), 25);
        EXPECT_EQ(reader.lanes()[1].state, LaneState::Running);
    }
    feed(*writer, 26, 60);
    writer->onEvent(RunStateEvent{60, RunState::Finished, ""});
    const RunFileReader reader(path);
    const Series& loss = seriesOf(reader.lanes()[1], "loss");
    ASSERT_EQ(loss.steps.size(), 60U);
    for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(loss.values[i], synthetic::lossAt(loss.steps[i], 1));
    EXPECT_EQ(reader.lanes()[1].projections[0].steps.size(), 12U);
    EXPECT_EQ(reader.lanes()[1].snapshotSteps, (std::vector<std::int64_t>{20, 40, 60}));
    EXPECT_EQ(reader.snapshot(1, 40).layers[1].v, synthetic::snapshotEvent(sizes, 40, 1).snapshot->layers[1].v);
    EXPECT_EQ(reader.snapshot(1, 40).parameter("attention.layer1.gain")->values, std::vector<float>{40});
    ASSERT_EQ(commandsOf(reader).size(), 1U);
    EXPECT_EQ(commandsOf(reader)[0].step, 12);
}

TEST_F(RunFile, ResumeBeforeTheFirstStepEmptiesTheSeries) {
    make()->onEvent(synthetic::stepEvent(1));
    auto writer = RunFileWriter::resume(path, 0);
    EXPECT_TRUE(RunFileReader(path).lanes()[0].metrics[0].steps.empty());
}

TEST_F(RunFile, AFullDiskLosesNothing) {
    std::uint64_t room = 1ULL << 40;
    auto writer = make({.flushSeconds = 0, .freeBytes = [&room](const std::filesystem::path&) { return room; }});
    feed(*writer, 1, 10);
    room = 1000;
    EXPECT_THROW(writer->onEvent(synthetic::stepEvent(11)), StorageFull);
    EXPECT_THROW(writer->onEvent(RunStateEvent{11, RunState::Waiting, "disk full"}), StorageFull);
    EXPECT_THROW(writer->flush(), StorageFull);
    EXPECT_EQ(RunFileReader(path).lastStep(), 10);
    room = 1ULL << 40;
    writer->flush();
    feed(*writer, 12, 20);
    const RunFileReader reader(path);
    const Series& loss = seriesOf(reader.lanes()[0], "loss");
    ASSERT_EQ(loss.steps.size(), 20U);
    EXPECT_EQ(loss.values[10], synthetic::lossAt(11, 0));
    EXPECT_EQ(reader.state(), RunState::Waiting);
}

TEST_F(RunFile, EventsThatDoNotFitAreRefused) {
    auto writer = make();
    EXPECT_THROW(writer->onEvent(synthetic::validationEvent(1, 2)), Error);
    ProbeEvent probe = synthetic::probeEvent(sizes, 1);
    probe.projections[0].label = "G";
    EXPECT_THROW(writer->onEvent(probe), Error);
    Sizes other = sizes;
    other.length = 32;
    EXPECT_THROW(writer->onEvent(synthetic::snapshotEvent(other, 1, 0)), Error);
    const auto withParameters = [&](auto&& change) {
        auto snapshot = std::make_shared<Snapshot>(*synthetic::snapshotEvent(sizes, 1, 1).snapshot);
        change(snapshot->parameters);
        return SnapshotEvent{snapshot, true};
    };
    EXPECT_THROW(writer->onEvent(withParameters([](auto& all) { all.pop_back(); })), Error);
    EXPECT_THROW(writer->onEvent(withParameters([](auto& all) { all[0].shape = {3, 2}; })), Error);
    EXPECT_THROW(writer->onEvent(withParameters([](auto& all) { all[0].values.pop_back(); })), Error);
    EXPECT_THROW(writer->onEvent(withParameters([](auto& all) { all[0].name += "s"; })), Error);
    writer->flush();
    EXPECT_EQ(RunFileReader(path).lastStep(), 0);
}

TEST_F(RunFile, OnlyOneProgramWrites) {
    auto writer = make();
    EXPECT_THROW((void)RunFileWriter::resume(path, 0), Error);
    EXPECT_THROW((void)make(), Error);
    writer.reset();
    EXPECT_NO_THROW((void)RunFileWriter::resume(path, 0));
}

TEST_F(RunFile, ARunThatAnotherProgramIsMakingIsLeftAlone) {
    std::filesystem::path aside = path;
    aside += ".new";
    StorageFile other(aside, StorageFile::Mode::Create);
    ASSERT_TRUE(other.lockForWriting());
    other.resize(1000);
    EXPECT_THAT([&] { (void)make(); }, testing::ThrowsMessage<Error>(HasSubstr("another program is writing it")));
    EXPECT_EQ(other.size(), 1000U);
    EXPECT_TRUE(other.isAtItsPath());
    other = {};  // left behind by a program that was killed
    EXPECT_NO_THROW((void)make());
}

TEST_F(RunFile, ARereadFileMayBeAnotherOne) {
    make().reset();
    RunFileReader reader(path);
    const std::int64_t length = reader.experiment().length();
    sizes.length *= 2;
    make().reset();
    reader.refresh();
    EXPECT_EQ(reader.experiment().length(), 2 * length);
}

TEST_F(RunFile, APlaceThatCannotBeWrittenIsSaidAtOnce) {
    for (const auto& place :
         {folder.path() / "absent" / "run.h5", folder.path(), std::filesystem::path("/proc/run.h5")}) {
        path = place;
        try {
            (void)make();
            ADD_FAILURE() << place << " was written";
        } catch (const StorageFull&) {
            ADD_FAILURE() << place << " is not full";
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), HasSubstr(place.string()));
        }
    }
}

TEST_F(RunFile, GivesBackTheLogInItsOrder) {
    auto writer = make();
    writer->onEvent(RunStateEvent{0, RunState::Running, ""});
    feed(*writer, 1, 2);
    writer->onEvent(CommandEvent{2, 1, "freeze", "trained", "frozen"});
    writer->onEvent(LaneStateEvent{2, 1, LaneState::Diverged, "blocks.0"});
    writer->onEvent(CheckpointEvent{2, "step-000002.safetensors"});
    writer->onEvent(RunStateEvent{2, RunState::Waiting, "disk full"});
    writer.reset();

    const std::vector<Event> log = RunFileReader(path).log();
    ASSERT_EQ(log.size(), 5U);
    EXPECT_EQ(std::get<RunStateEvent>(log[0]).state, RunState::Running);
    EXPECT_EQ(std::get<CommandEvent>(log[1]).newValue, "frozen");
    EXPECT_EQ(std::get<LaneStateEvent>(log[2]).message, "blocks.0");
    EXPECT_EQ(std::get<LaneStateEvent>(log[2]).lane, 1);
    EXPECT_EQ(std::get<CheckpointEvent>(log[3]).path, "step-000002.safetensors");
    EXPECT_EQ(std::get<RunStateEvent>(log[4]).message, "disk full");
}

TEST_F(RunFile, LongTextsEndAtAWholeCharacter) {
    auto writer = make();
    std::string text(511, 'x');
    text += "␣";
    writer->onEvent(CommandEvent{1, -1, "set_learning_rate", "", text});
    EXPECT_EQ(commandsOf(RunFileReader(path))[0].newValue, std::string(511, 'x'));
}

TEST_F(RunFile, ARunHasANameOfItsOwn) {
    const std::string first = make()->runId();
    EXPECT_EQ(first.size(), 16U);
    EXPECT_EQ(RunFileReader(path).runId(), first);
    EXPECT_EQ(RunFileWriter::resume(path, 0)->runId(), first);
    EXPECT_EQ(RunFileReader(path).data(), "synthetic: no text at all");
    EXPECT_EQ(RunFileReader(path).dataDigest(), "");
    path = folder.path() / "other.h5";
    EXPECT_NE(make()->runId(), first);
}

/// Runs until the writer says that its file is lost, and what it says.
std::string lossOf(RunFileWriter& writer) {
    try {
        writer.flush();
    } catch (const FileLost& lost) {
        return lost.what();
    }
    return "nothing is lost";
}

TEST_F(RunFile, ARemovedFileIsThereAgain) {
    const auto writer = make();
    feed(*writer, 1, 20);
    writer->flush();
    feed(*writer, 21, 30);
    std::filesystem::remove(path);
    EXPECT_THAT(lossOf(*writer), HasSubstr("removed"));
    EXPECT_EQ(RunFileReader(path).lastStep(), 30);
    EXPECT_EQ(RunFileReader(path).health(), RunHealth::BeingWritten);
    feed(*writer, 31, 40);
    EXPECT_EQ(lossOf(*writer), "nothing is lost");
    EXPECT_EQ(seriesOf(RunFileReader(path).lanes()[1], "loss").steps.size(), 40U);
}

TEST_F(RunFile, ARemovedFileIsThereAgainBesideAnotherNameOfIt) {
    const auto writer = make();
    feed(*writer, 1, 20);
    std::filesystem::create_hard_link(path, folder.path() / "kept.h5");
    std::filesystem::remove(path);
    EXPECT_THAT(lossOf(*writer), AllOf(HasSubstr("removed"), Not(HasSubstr("deleted"))));
    EXPECT_EQ(RunFileReader(path).lastStep(), 20);
    EXPECT_EQ(lossOf(*writer), "nothing is lost");
}

TEST_F(RunFile, ARemovedFileThatCannotBeKeptIsTold) {
    const auto inner = folder.path() / "inner";
    std::filesystem::create_directory(inner);
    path = inner / "run.h5";
    const auto writer = make();
    feed(*writer, 1, 20);
    std::filesystem::remove_all(inner);
    std::ofstream(inner) << "a file in the folder's place";
    EXPECT_THAT(lossOf(*writer), HasSubstr("cannot be kept"));
    EXPECT_EQ(std::filesystem::file_size(inner), 28U);
}

TEST_F(RunFile, AMovedFileIsFollowed) {
    const auto writer = make();
    feed(*writer, 1, 20);
    const auto moved = folder.path() / "moved.h5";
    std::filesystem::rename(path, moved);
    EXPECT_THAT(lossOf(*writer), HasSubstr("now at " + moved.string()));
    EXPECT_EQ(RunFileReader(moved).lastStep(), 20);
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(RunFile, WhatTakesItsPlaceIsLeftAlone) {
    const auto writer = make();
    feed(*writer, 1, 20);
    const auto mine = [this](const char* name) {
        std::ofstream(folder.path() / "other") << "mine";
        std::filesystem::rename(folder.path() / "other", folder.path() / name);
    };
    mine("run.rescued.h5");
    mine("run.h5");
    EXPECT_THAT(lossOf(*writer), HasSubstr((folder.path() / "run.rescued-2.h5").string()));
    EXPECT_EQ(RunFileReader(folder.path() / "run.rescued-2.h5").lastStep(), 20);
    for (const char* name : {"run.h5", "run.rescued.h5"})
        EXPECT_EQ(std::filesystem::file_size(folder.path() / name), 4U);
}

}  // namespace
}  // namespace linscope

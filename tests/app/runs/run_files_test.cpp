#include "app/runs/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/error.h"
#include "core/train/checkpoint_state.h"
#include "core/train/trainer.h"
#include "tests/support/small_experiment.h"

namespace linscope::app {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(RunFiles, EveryRunHasAFileOfItsOwn) {
    const test::TemporaryFolder folder;
    const fs::path wanted = folder.path() / "first.h5";
    EXPECT_EQ(claimRunFile(wanted, ""), wanted);
    EXPECT_TRUE(fs::is_regular_file(wanted));
    fs::create_directories(checkpointFolder(folder.path() / "first-2.h5"));  // of a run whose file was removed
    EXPECT_EQ(claimRunFile(wanted, ""), folder.path() / "first-3.h5");
    releaseRunFile(wanted);
    EXPECT_FALSE(fs::exists(wanted)) << "nothing has come of it";
    std::ofstream(wanted) << "a run";
    releaseRunFile(wanted);
    EXPECT_TRUE(fs::exists(wanted));
    EXPECT_THAT(datedName("first"), testing::MatchesRegex("first-[0-9]+-[0-9]+.h5"));
}

TEST(RunFiles, SaysHowToMendAPlaceWhereNoneCanBeMade) {
    try {
        claimRunFile("/proc/run.h5", "choose another folder");
        FAIL() << "a file was made";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("/proc/run.h5"));
        EXPECT_THAT(error.what(), HasSubstr("choose another folder"));
    }
}

TEST(RunFiles, PassesDamagedCheckpointsOverAndSaysWhy) {
    const test::TemporaryFolder folder;
    Trainer trainer(test::smallExperiment(test::writeText(folder.path())));
    const fs::path checkpoints = folder.path() / "run.checkpoints";
    trainer.setCheckpointFolder(checkpoints, "run");
    trainer.begin();
    for (int step = 0; step < 2; ++step) {
        trainer.step();
        trainer.saveCheckpoint();
    }
    const fs::path newest = checkpoints / checkpointName(2);
    fs::resize_file(newest, fs::file_size(newest) / 2);
    const FoundCheckpoint found = findCheckpoint(checkpoints, 2);
    ASSERT_TRUE(found.file);
    EXPECT_EQ(found.file->filename(), checkpointName(1));
    ASSERT_EQ(found.passedOver.size(), 1U);
    EXPECT_THAT(found.passedOver[0], HasSubstr(newest.string()));
    EXPECT_TRUE(findCheckpoint(checkpoints, 1).passedOver.empty()) << "one behind the run file is none";
    EXPECT_FALSE(findCheckpoint(folder.path() / "absent", 2).file);
}

}  // namespace
}  // namespace linscope::app

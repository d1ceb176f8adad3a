#include "app/session/session.h"

#include <gtest/gtest.h>

#include <QElapsedTimer>
#include <algorithm>

#include "core/train/checkpoint_state.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

class SessionTest : public testing::Test {
protected:
    SessionTest() { testApplication(); }

    int start(Session& session, std::optional<std::int64_t> until = {}) {
        Session::StartOptions options;
        options.folder = m_folder.path();
        options.untilStep = until;
        return session.start(tinyExperiment(m_folder), options);
    }
    bool reaches(const Session& session, int id, RunState state) {
        return waitFor([&] { return session.run(id)->record.state == state && !session.run(id)->loading; });
    }

    QTemporaryDir m_folder;
};

TEST_F(SessionTest, TrainsInARunFileOfItsOwn) {
    Session session;
    const int id = start(session, 12);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    const app::Run& run = *session.run(id);
    EXPECT_EQ(run.error, "");
    EXPECT_EQ(run.record.lastStep, 12);
    EXPECT_EQ(findSeries(run.record.lanes[1], "loss")->values.size(), 12U);
    EXPECT_EQ(run.newest.at(0)->step, 12);
    EXPECT_EQ(run.record.freezable, (std::vector<bool>{false, true}));
    EXPECT_TRUE(run.tokenTexts && !run.tokenTexts->empty());
    EXPECT_EQ(RunFileReader(run.file).lastStep(), 12);
    EXPECT_FALSE(listCheckpoints(checkpointFolder(run.file)).empty());
}

TEST_F(SessionTest, PausesBetweenStepsAndStepsOnce) {
    Session session;
    const int id = start(session);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep >= 3; })) << session.run(id)->error;
    session.post(id, {.kind = CommandKind::Pause});
    ASSERT_TRUE(reaches(session, id, RunState::Paused));
    const std::int64_t paused = session.run(id)->record.lastStep;
    waitFor([] { return false; }, 300);
    EXPECT_EQ(session.run(id)->record.lastStep, paused);

    session.post(id, {.kind = CommandKind::Step});
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep > paused; }));
    waitFor([] { return false; }, 300);
    EXPECT_EQ(session.run(id)->record.lastStep, paused + 1);
    EXPECT_EQ(session.run(id)->record.state, RunState::Paused);

    session.post(id, {.kind = CommandKind::Run});
    EXPECT_TRUE(waitFor([&] { return session.run(id)->record.lastStep > paused + 5; }));
}

TEST_F(SessionTest, StopKeepsFileAndCheckpointAndCanGoOn) {
    Session session;
    const int id = start(session);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep >= 3; })) << session.run(id)->error;
    session.post(id, {.kind = CommandKind::Stop});
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); }));
    const std::int64_t stopped = session.run(id)->record.lastStep;
    EXPECT_EQ(listCheckpoints(checkpointFolder(session.run(id)->file)).back().first, stopped);

    session.resume(id);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep >= stopped + 3; })) << session.run(id)->error;
    session.shutdown();
    EXPECT_GE(RunFileReader(session.run(id)->file).lastStep(), stopped + 3);
}

TEST_F(SessionTest, LeavesARunAloneThatAnotherProgramWrites) {
    Session session;
    const int first = start(session, 12);
    ASSERT_TRUE(waitFor([&] { return !session.run(first)->live(); })) << session.run(first)->error;
    const std::filesystem::path path = session.run(first)->file;
    const QString file = QString::fromStdString(path.string());
    session.close(first);

    // What another program would do; the lock knows no difference.
    auto writer = RunFileWriter::resume(path, 12);
    writer->onEvent(RunStateEvent{12, RunState::Paused, ""});
    const int opened = session.open(file);
    ASSERT_TRUE(waitFor([&] { return !session.run(opened)->loading; }));
    EXPECT_EQ(session.run(opened)->record.health, RunHealth::BeingWritten);
    EXPECT_EQ(stateText(*session.run(opened)), "paused");
    EXPECT_EQ(stateDetail(*session.run(opened)), "in another program");
    EXPECT_FALSE(session.run(opened)->canGoOn());

    const int own = start(session);
    ASSERT_TRUE(waitFor([&] { return session.run(own)->record.lastStep >= 3; })) << session.run(own)->error;
    QString said;
    QObject::connect(&session, &Session::message, &session, [&](const QString& text, bool) { said = text; });
    session.resume(opened);
    const std::int64_t then = session.run(own)->record.lastStep;
    EXPECT_TRUE(waitFor([&] { return session.run(own)->record.lastStep > then + 5; })) << "it was stopped for nothing";
    EXPECT_TRUE(said.contains("Another program")) << said.toStdString();

    writer.reset();  // killed: nobody has ended the run
    EXPECT_EQ(session.open(file), opened);
    ASSERT_TRUE(waitFor([&] { return !session.run(opened)->loading; }));
    EXPECT_EQ(stateText(*session.run(opened)), "cut off");
    EXPECT_TRUE(session.run(opened)->canGoOn());
    writer = RunFileWriter::resume(path, 12);  // since it was read
    session.resume(opened);
    EXPECT_FALSE(session.run(opened)->canGoOn());
    EXPECT_TRUE(session.run(own)->live());
    writer.reset();

    session.open(file);
    ASSERT_TRUE(waitFor([&] { return !session.run(opened)->loading; }));
    session.resume(opened);
    ASSERT_TRUE(waitFor([&] { return session.run(opened)->record.lastStep > 14; })) << session.run(opened)->error;
    EXPECT_EQ(stateText(*session.run(opened)), "running");
    EXPECT_EQ(stateDetail(*session.run(opened)), "");
}

TEST_F(SessionTest, TellsOfADamagedCheckpointAndGoesOnFromTheOneBefore) {
    Session session;
    const int id = start(session, 6);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    const auto saved = listCheckpoints(checkpointFolder(session.run(id)->file));
    ASSERT_GE(saved.size(), 2U) << "that of step 0 among them";
    std::filesystem::resize_file(saved.back().second, 100);
    QString said;
    QObject::connect(&session, &Session::message, &session, [&](const QString& text, bool) { said = text; });
    session.resume(id);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep > 8; })) << session.run(id)->error;
    EXPECT_TRUE(said.contains("passed over")) << said.toStdString();
    EXPECT_TRUE(std::ranges::any_of(session.run(id)->record.log, [](const LogEntry& entry) {
        return entry.kind == LogKind::Note && entry.text.find("passed over") != std::string::npos;
    }));
}

TEST_F(SessionTest, ANewRunBeginsWhenTheOneThatTrainsHasEnded) {
    Session session;
    const int first = start(session);
    ASSERT_TRUE(waitFor([&] { return session.run(first)->record.lastStep >= 3; })) << session.run(first)->error;
    const std::filesystem::path file = session.run(first)->file;
    QStringList said;
    QObject::connect(&session, &Session::message, &session, [&](const QString& text, bool) {
        said << text;
        const auto saved = listCheckpoints(checkpointFolder(file));
        ASSERT_FALSE(saved.empty());
        EXPECT_TRUE(text.contains(QString("stopped at step %1 with").arg(saved.back().first))) << text.toStdString();
        EXPECT_EQ(RunFileReader(file).lastStep(), saved.back().first);
    });
    const int second = start(session);
    EXPECT_TRUE(said.isEmpty()) << "nothing has stopped yet";
    EXPECT_TRUE(session.run(second)->live());
    EXPECT_EQ(stateText(*session.run(second)), "preparing");
    int both = 0;
    const auto look = [&] { both += session.run(first)->live() && !session.run(second)->waiting ? 1 : 0; };
    QObject::connect(&session, &Session::runStateChanged, &session, look);
    QObject::connect(&session, &Session::runChanged, &session, look);
    ASSERT_TRUE(waitFor([&] { return session.run(second)->record.lastStep >= 3; })) << session.run(second)->error;
    EXPECT_EQ(said.size(), 1);
    EXPECT_EQ(both, 0);
    EXPECT_TRUE(session.run(first)->canGoOn());
}

TEST_F(SessionTest, ARunThatWaitsCanBeStoppedAndOvertaken) {
    Session session;
    const int first = start(session);
    ASSERT_TRUE(waitFor([&] { return session.run(first)->record.lastStep >= 3; })) << session.run(first)->error;
    const int second = start(session), third = start(session), fourth = start(session);
    EXPECT_FALSE(session.run(second)->live());
    EXPECT_FALSE(session.run(third)->live());
    EXPECT_NE(session.run(third)->error, "");
    session.post(fourth, {.kind = CommandKind::Stop});
    EXPECT_FALSE(session.run(fourth)->live());
    ASSERT_TRUE(waitFor([&] { return !session.run(first)->live(); }));
    const int fifth = start(session);
    session.resume(first);
    EXPECT_TRUE(session.run(first)->waiting);
    session.post(first, {.kind = CommandKind::Stop});
    EXPECT_TRUE(session.run(first)->canGoOn()) << "one that has begun loses nothing";
    ASSERT_TRUE(waitFor([&] { return !session.run(fifth)->live(); })) << "which had to give way";
    session.resume(fifth);
    session.post(fifth, {.kind = CommandKind::Pause});
    EXPECT_TRUE(reaches(session, fifth, RunState::Paused));
}

TEST_F(SessionTest, WhatCannotBeginStopsNothing) {
    Session session;
    const int first = start(session);
    ASSERT_TRUE(waitFor([&] { return session.run(first)->record.lastStep >= 3; })) << session.run(first)->error;
    Session::StartOptions options;
    options.folder = "/proc/no/such/folder";
    EXPECT_NE(session.run(session.start(tinyExperiment(m_folder), options))->error, "");
    const std::int64_t then = session.run(first)->record.lastStep;
    EXPECT_TRUE(waitFor([&] { return session.run(first)->record.lastStep > then + 3; }));
}

TEST_F(SessionTest, ClosingALiveRunReturnsAtOnceAndItStillEndsInGoodOrder) {
    Session session;
    Experiment experiment = tinyExperiment(m_folder);
    for (const auto& [key, value] : {std::pair("task.length", "512"), std::pair("task.batch", "16"),
                                     std::pair("model.width", "64"), std::pair("model.layers", "2")})
        experiment.set(key, value);  // a step of half a second
    const int id = session.start(experiment, {.untilStep = {}, .folder = m_folder.path()});
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep >= 1; })) << session.run(id)->error;
    const std::filesystem::path file = session.run(id)->file;
    QElapsedTimer timer;
    timer.start();
    session.close(id);
    EXPECT_LT(timer.elapsed(), 100);
    EXPECT_EQ(session.run(id), nullptr);

    const int again = session.open(QString::fromStdString(file.string()));
    ASSERT_TRUE(waitFor([&] { return !session.run(again)->loading; }));
    EXPECT_EQ(session.run(again)->error, "");
    EXPECT_EQ(session.run(again)->record.state, RunState::Stopped);
    EXPECT_TRUE(session.run(again)->canGoOn());
    const auto saved = listCheckpoints(checkpointFolder(file));
    ASSERT_FALSE(saved.empty());
    EXPECT_EQ(session.run(again)->record.lastStep, saved.back().first);
}

TEST_F(SessionTest, OpensAStoredStepOfAFinishedRun) {
    Session session;
    const int id = start(session, 12);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    const QString file = QString::fromStdString(session.run(id)->file.string());
    session.close(id);

    const int opened = session.open(file);
    ASSERT_TRUE(waitFor([&] { return !session.run(opened)->loading; }));
    EXPECT_EQ(session.run(opened)->error, "");
    EXPECT_EQ(session.run(opened)->record.snapshotSteps(), (std::vector<std::int64_t>{0, 5, 10}));
    session.selectStep(5);
    ASSERT_TRUE(
        waitFor([&] { return session.shownSnapshots().size() == 2 && session.shownSnapshots()[0]->step == 5; }));
}

TEST_F(SessionTest, SaysWhatIsWrongWithAFile) {
    Session session;
    QString said;
    QObject::connect(&session, &Session::message, [&](const QString& text, bool) { said = text; });
    const int id = session.open(m_folder.filePath("absent.h5"));
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->loading; }));
    EXPECT_NE(session.run(id)->error, "");
    EXPECT_TRUE(said.contains("absent.h5"));
}

TEST_F(SessionTest, SaysWhatIsWrongWithACorpus) {
    Session session;
    Experiment experiment = tinyExperiment(m_folder);
    experiment.set("task.corpus", "/no/such/corpus");
    Session::StartOptions options;
    options.folder = m_folder.path();
    const int id = session.start(experiment, options);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); }));
    EXPECT_NE(session.run(id)->error, "");
}

TEST_F(SessionTest, ShutsDownWithinTwoSeconds) {
    Session session;
    const int id = start(session);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep >= 2; })) << session.run(id)->error;
    QElapsedTimer timer;
    timer.start();
    session.shutdown();
    EXPECT_LT(timer.elapsed(), 2000);
    const auto saved = listCheckpoints(checkpointFolder(session.run(id)->file));
    ASSERT_FALSE(saved.empty());
    EXPECT_EQ(RunFileReader(session.run(id)->file).lastStep(), saved.back().first);
}

}  // namespace
}  // namespace linscope::app

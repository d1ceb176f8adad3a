#include "app/models/run_tree_model.h"

#include <gtest/gtest.h>

#include <QAbstractItemModelTester>

#include "app/models/event_list_model.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

TEST(RunTreeModel, FollowsRunsThroughTheirLife) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    RunTreeModel runs(session);
    EventListModel events(session);
    // Breaks of the model's contract are warnings of Qt that name this category; Fatal ends the program.
    QAbstractItemModelTester runsTester(&runs, QAbstractItemModelTester::FailureReportingMode::Fatal);
    QAbstractItemModelTester eventsTester(&events, QAbstractItemModelTester::FailureReportingMode::Fatal);

    Session::StartOptions options;
    options.folder = folder.path();
    options.untilStep = 3;
    const int id = session.start(tinyExperiment(folder), options);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
    ASSERT_EQ(runs.rowCount(), 1);
    const QModelIndex run = runs.index(0, 0);
    EXPECT_EQ(run.data().toString(), "tiny");
    EXPECT_EQ(runs.index(0, RunTreeModel::State).data().toString(), "stopped");
    ASSERT_EQ(runs.rowCount(run), 2);
    EXPECT_EQ(runs.index(1, RunTreeModel::Name, run).data().toString(), "linformer");
    EXPECT_EQ(runs.index(1, RunTreeModel::Step, run).data().toString(), "3");
    EXPECT_GT(events.rowCount(), 1);

    const int second = session.open(folder.filePath("absent.h5"));
    ASSERT_TRUE(waitFor([&] { return !session.run(second)->loading; }));
    EXPECT_EQ(runs.index(1, RunTreeModel::State).data().toString(), "failed");
    session.close(id);
    EXPECT_EQ(runs.rowCount(), 1);
}

}  // namespace
}  // namespace linscope::app

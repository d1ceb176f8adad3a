#include "app/panels/steer_panel.h"

#include <gtest/gtest.h>

#include <QLineEdit>

#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

TEST(SteerPanel, ShowsTheRateThatWasSetLastAlsoAfterTheRunGoesOn) {
    testApplication();
    QTemporaryDir folder;
    Session session;
    SteerPanel panel(session);
    auto* rate = panel.findChild<QLineEdit*>();
    ASSERT_NE(rate, nullptr);
    Session::StartOptions options;
    options.folder = folder.path();
    const Experiment experiment = tinyExperiment(folder);
    int id = session.start(experiment, options);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep >= 3; })) << session.run(id)->error;
    EXPECT_DOUBLE_EQ(rate->text().toDouble(), experiment.optimizer.learningRate);
    session.post(id, {.kind = CommandKind::SetLearningRate, .lane = -1, .value = 2.5e-4});
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.peakRates.front() == 2.5e-4; }));
    EXPECT_TRUE(waitFor([&] { return rate->text().toDouble() == 2.5e-4; }, 2000));
    session.post(id, {.kind = CommandKind::Stop, .lane = -1, .value = 0});
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->live(); }));
    const QString file = QString::fromStdString(session.run(id)->file.string());
    session.close(id);

    id = session.open(file);
    ASSERT_TRUE(waitFor([&] { return !session.run(id)->loading; }));
    EXPECT_DOUBLE_EQ(rate->text().toDouble(), 2.5e-4) << "as the file tells";
    const std::int64_t stopped = session.run(id)->record.lastStep;
    session.resume(id);
    ASSERT_TRUE(waitFor([&] { return session.run(id)->record.lastStep > stopped; })) << session.run(id)->error;
    EXPECT_DOUBLE_EQ(rate->text().toDouble(), 2.5e-4) << "as the checkpoint tells";
}

}  // namespace
}  // namespace linscope::app

#include "app/session/overlays.h"

#include <gtest/gtest.h>

#include "app/session/session.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

class OverlaysTest : public testing::Test {
protected:
    OverlaysTest() {
        testApplication();
        QObject::connect(&m_session, &Session::message, &m_session, [this](const QString& text, bool isError) {
            m_said = text;
            m_isError = isError;
        });
    }
    /// The file of a finished run of that many steps.
    QString train(std::int64_t steps) {
        Session session;
        Session::StartOptions options;
        options.folder = m_folder.path();
        options.untilStep = steps;
        const int id = session.start(tinyExperiment(m_folder), options);
        EXPECT_TRUE(waitFor([&] { return !session.run(id)->live(); })) << session.run(id)->error;
        return QString::fromStdString(session.run(id)->file.string());
    }
    void lay(const QString& file) {
        m_session.overlays().lay(file);
        EXPECT_TRUE(waitFor([&] { return !m_session.overlays().busy(); }));
    }

    QTemporaryDir m_folder;
    Session m_session;
    QString m_said;
    bool m_isError = false;
};

TEST_F(OverlaysTest, LieOverWhateverRunIsShownAndGoAgain) {
    const QString file = train(6);
    lay(file);
    EXPECT_FALSE(m_isError) << m_said.toStdString();
    ASSERT_EQ(m_session.overlays().all().size(), 1U);
    EXPECT_TRUE(m_session.runs().empty()) << "it is laid over, not opened";
    const Overlay& overlay = m_session.overlays().all()[0];
    EXPECT_EQ(findSeries(overlay.record.lanes[0], "loss")->values.size(), 6U);
    const int before = overlay.id;
    lay(file);
    ASSERT_EQ(m_session.overlays().all().size(), 1U) << "a file lies there once";
    EXPECT_NE(m_session.overlays().all()[0].id, before) << "and was read again";
    lay(train(3));
    ASSERT_EQ(m_session.overlays().all().size(), 2U);
    m_session.overlays().remove(m_session.overlays().all()[0].id);
    ASSERT_EQ(m_session.overlays().all().size(), 1U);
    EXPECT_EQ(m_session.overlays().all()[0].record.lastStep, 3);
    m_session.overlays().clear();
    EXPECT_TRUE(m_session.overlays().all().empty());
}

TEST_F(OverlaysTest, WhatCannotBeReadIsToldAndChangesNothing) {
    lay(train(3));
    const int before = m_session.overlays().all()[0].id;
    QFile whole(QString::fromStdString(m_session.overlays().all()[0].file.string()));
    ASSERT_TRUE(whole.open(QIODevice::ReadOnly));
    const QString half = writeFile(m_folder, "half.h5", whole.read(whole.size() / 2)),
                  text = writeFile(m_folder, "text.h5", "no run at all");
    for (const QString& file : {half, text, m_folder.filePath("absent.h5"), m_folder.path()}) {
        m_isError = false;
        lay(file);
        EXPECT_TRUE(m_isError) << file.toStdString();
        EXPECT_TRUE(m_said.contains(QFileInfo(file).fileName())) << m_said.toStdString();
        ASSERT_EQ(m_session.overlays().all().size(), 1U);
        EXPECT_EQ(m_session.overlays().all()[0].id, before);
    }
}

TEST_F(OverlaysTest, ARunThatStillTrainsIsReadAsFarAsItIs) {
    Session training;
    Session::StartOptions options;
    options.folder = m_folder.path();
    const int id = training.start(tinyExperiment(m_folder), options);
    ASSERT_TRUE(waitFor([&] { return training.run(id)->record.lastStep >= 3; })) << training.run(id)->error;
    lay(QString::fromStdString(training.run(id)->file.string()));
    EXPECT_FALSE(m_isError) << m_said.toStdString();
    EXPECT_EQ(m_session.overlays().all().size(), 1U);
}

}  // namespace
}  // namespace linscope::app

#include "app/panels/experiment_panel.h"

#include <gtest/gtest.h>

#include <QComboBox>
#include <QLineEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QTest>
#include <QWheelEvent>
#include <limits>

#include "app/panels/integer_box.h"
#include "tests/app/app_test.h"

namespace linscope::app {
namespace {

class ExperimentPanelTest : public testing::Test {
protected:
    ExperimentPanelTest() {
        testApplication();
        m_panel = std::make_unique<ExperimentPanel>(m_session);
        m_panel->draft().load(tinyExperiment(m_folder));
        waitFor([&] { return m_panel->field("model.width") != nullptr; }, 5000);
        m_panel->show();
    }
    QTemporaryDir m_folder;
    Session m_session;
    std::unique_ptr<ExperimentPanel> m_panel;
};

TEST_F(ExperimentPanelTest, HasAFieldForEveryOption) {
    for (const ExperimentField& field : fieldsOf(m_panel->draft().experiment()))
        EXPECT_NE(m_panel->field(field.key), nullptr) << field.key;
}

TEST_F(ExperimentPanelTest, LanesComeBeforeWhatIsSeldomChanged) {
    const auto place = [&](const char* key) {
        FieldEditor* editor = m_panel->field(key);
        return editor->mapTo(m_panel.get(), QPoint()).y();
    };
    waitFor([] { return false; }, 20);
    EXPECT_LT(place("seed"), place("lane.0.name"));
    EXPECT_LT(place("lane.1.attention.k"), place("task.length"));
    EXPECT_TRUE(m_panel->isFolded("probes"));
    EXPECT_FALSE(m_panel->field("probes.every")->isVisible());
    EXPECT_TRUE(m_panel->field("model.width")->isVisible());
    m_panel->fold("probes", false);
    EXPECT_TRUE(m_panel->field("probes.every")->isVisible());
    m_panel->fold("model", true);
    m_panel->draft().set("model.heads", "3");
    EXPECT_FALSE(m_panel->isFolded("model")) << "what must be mended is in sight";
    EXPECT_TRUE(m_panel->field("model.heads")->isVisible());
    m_panel->fold("lane.1", true);
    m_panel->draft().removeLane(0);
    ASSERT_TRUE(waitFor([&] { return m_panel->field("lane.1.name") == nullptr; }, 5000));
    EXPECT_TRUE(m_panel->field("lane.0.name")->isVisible());
}

TEST_F(ExperimentPanelTest, ShowsTheErrorBesideTheFieldAndTakesTheRightValue) {
    FieldEditor* heads = m_panel->field("model.heads");
    auto* box = qobject_cast<IntegerBox*>(heads->input());
    ASSERT_NE(box, nullptr);
    box->setValue(3);
    EXPECT_TRUE(heads->error().contains("divides"));
    EXPECT_FALSE(m_panel->startButton()->isEnabled());
    box->setValue(4);
    EXPECT_TRUE(heads->error().isEmpty());
    EXPECT_TRUE(m_panel->startButton()->isEnabled());
    EXPECT_EQ(m_panel->draft().experiment().model.heads, 4);
}

TEST_F(ExperimentPanelTest, TakesIntegersOf64Bits) {
    Experiment experiment = tinyExperiment(m_folder);
    experiment.set("seed", "3000000000");
    m_panel->draft().load(experiment);
    const auto box = [&] { return qobject_cast<IntegerBox*>(m_panel->field("seed")->input()); };
    ASSERT_TRUE(waitFor([&] { return box() && box()->value() == 3'000'000'000; }, 5000));
    EXPECT_EQ(box()->text(), "3000000000");
    box()->selectAll();
    QTest::keyClicks(box(), "4000000000x");  // of which the letter is refused
    EXPECT_EQ(m_panel->draft().experiment().toToml().find("seed = 4000000000\n") != std::string::npos, true)
        << m_panel->draft().experiment().toToml();
    QTest::keyClick(box(), Qt::Key_Up);
    EXPECT_EQ(box()->value(), 4'000'000'001);
    box()->clear();
    EXPECT_EQ(box()->value(), 4'000'000'001) << "nothing is no number";
    box()->setValue(std::numeric_limits<qint64>::max());
    QTest::keyClick(box(), Qt::Key_Up);
    EXPECT_EQ(box()->value(), std::numeric_limits<qint64>::max());
}

TEST_F(ExperimentPanelTest, AWheelThatPassesOverAFieldScrollsTheForm) {
    const std::string before = m_panel->draft().experiment().toToml();
    m_panel->resize(360, 300);
    ASSERT_TRUE(QTest::qWaitForWindowExposed(m_panel.get()));
    auto* area = m_panel->findChild<QScrollArea*>();
    for (const char* key : {"model.width", "model.kind", "seed", "steps"}) {
        QWidget* input = m_panel->field(key)->input();
        ASSERT_TRUE(qobject_cast<IntegerBox*>(input) || qobject_cast<QComboBox*>(input)) << key;
        area->ensureWidgetVisible(input);
        const QPoint place = input->rect().center();
        for (const int turn : {120, -120, -120}) {
            QWheelEvent event(place, input->mapToGlobal(place), {}, {0, turn}, Qt::NoButton, Qt::NoModifier,
                              Qt::NoScrollPhase, false);
            QSpontaneKeyEvent::setSpontaneous(&event);  // as from a mouse: only such a wheel may bring the focus along
            qApp->notify(input, &event);
        }
        EXPECT_FALSE(input->hasFocus()) << key;
    }
    EXPECT_EQ(m_panel->draft().experiment().toToml(), before);
}

TEST_F(ExperimentPanelTest, SaysWhatIsNoNumber) {
    FieldEditor* rate = m_panel->field("optimizer.learning_rate");
    auto* line = qobject_cast<QLineEdit*>(rate->input());
    ASSERT_NE(line, nullptr);
    line->setText("fast");
    Q_EMIT line->textEdited("fast");
    EXPECT_FALSE(rate->error().isEmpty());
    line->setText("3e-4");
    Q_EMIT line->textEdited("3e-4");
    EXPECT_TRUE(rate->error().isEmpty());
    EXPECT_DOUBLE_EQ(m_panel->draft().experiment().optimizer.learningRate, 3e-4);
}

TEST_F(ExperimentPanelTest, FollowsTheMechanism) {
    ASSERT_NE(m_panel->field("lane.1.attention.k"), nullptr);
    m_panel->draft().set("lane.1.attention.mechanism", "full");
    EXPECT_TRUE(waitFor([&] { return m_panel->field("lane.1.attention.k") == nullptr; }, 5000));
}

TEST_F(ExperimentPanelTest, BringsAnAddedLaneIntoSight) {
    m_panel->resize(360, 300);
    ASSERT_TRUE(QTest::qWaitForWindowExposed(m_panel.get()));
    for (QPushButton* button : m_panel->findChildren<QPushButton*>())
        if (button->accessibleName() == "Add a lane") button->click();
    ASSERT_TRUE(waitFor([&] { return m_panel->field("lane.2.name") != nullptr; }, 5000));
    EXPECT_TRUE(waitFor([&] { return !m_panel->field("lane.2.name")->visibleRegion().isEmpty(); }, 1000));
}

TEST_F(ExperimentPanelTest, ShowsANameThatFollowsItsOptions) {
    Experiment experiment = tinyExperiment(m_folder);
    experiment.lanes[1].name = "linformer k=8";
    m_panel->draft().load(experiment);
    QLineEdit* name = nullptr;
    ASSERT_TRUE(waitFor(
        [&] {
            name = qobject_cast<QLineEdit*>(m_panel->field("lane.1.name")->input());
            return name->text() == "linformer k=8";
        },
        5000));
    auto* k = qobject_cast<QLineEdit*>(m_panel->field("lane.1.attention.k")->input());
    ASSERT_NE(k, nullptr);
    Q_EMIT k->textEdited("4");
    EXPECT_EQ(name->text(), "linformer k=4");
}

}  // namespace
}  // namespace linscope::app

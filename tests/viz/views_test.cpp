#include "viz/views/view.h"

#include <gmock/gmock.h>

#include <random>

#include "core/base/error.h"

namespace linscope::viz {
namespace {

using ::testing::ElementsAre;

Snapshot linformerSnapshot() {
    Snapshot snapshot;
    snapshot.step = 7;
    snapshot.mechanism = "linformer";
    snapshot.samples = 1;
    snapshot.heads = 2;
    snapshot.length = 12;
    snapshot.headWidth = 4;
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& values, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) values.push_back(normal(random));
    };
    snapshot.layers.resize(1);
    for (auto* values : {&snapshot.layers[0].q, &snapshot.layers[0].k, &snapshot.layers[0].v})
        fill(*values, 2 * 12 * 4);
    for (const char* name : {"E", "F"}) {
        Projection projection{.name = name, .layer = 0, .head = -1, .slots = 3, .length = 12, .values = {}};
        fill(projection.values, 3 * 12);
        snapshot.projections.push_back(projection);
    }
    snapshot.tokens.assign(12, 65);
    return snapshot;
}

TEST(Views, AreThoseThatTheCommandLineNames) {
    std::vector<std::string> names;
    for (const ViewInfo& view : views()) {
        names.push_back(view.name);
        EXPECT_FALSE(view.title.empty() || view.summary.empty());
        EXPECT_EQ(&findView(view.name), &view);
    }
    EXPECT_THAT(names, ElementsAre("exact", "compressed", "lifted", "difference", "projection", "own"));
    try {
        findView("rollout");
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "[view] one of exact, compressed, lifted, difference, projection, own is required, but 'rollout' "
                     "was given");
    }
}

TEST(Views, DrawWhatTheyAreNamedFor) {
    const Snapshot snapshot = linformerSnapshot();
    const auto make = [&](const char* name) {
        EXPECT_TRUE(findView(name).available(snapshot)) << name;
        return findView(name).make(snapshot, {.layer = 0, .head = 1});
    };
    const ViewPicture exact = make("exact"), compressed = make("compressed"), lifted = make("lifted"),
                      difference = make("difference");
    EXPECT_EQ(exact.matrix->cols, 12);
    EXPECT_EQ(compressed.matrix->cols, 3);
    EXPECT_EQ(compressed.colAxis, "slot");
    EXPECT_EQ(exact.scale, ScaleKind::Log);
    EXPECT_EQ(lifted.scale, ScaleKind::Diverging);
    EXPECT_EQ(lifted.pooling, Pooling::AbsMax);
    for (std::int64_t r = 0; r < 12; ++r)
        for (std::int64_t c = 0; c < 12; ++c)
            EXPECT_NEAR(difference.matrix->at(r, c), lifted.matrix->at(r, c) - exact.matrix->at(r, c), 1e-5);
}

TEST(Views, ProjectionIsTheOneOfTheLayer) {
    const Snapshot snapshot = linformerSnapshot();
    const ViewPicture f = findView("projection").make(snapshot, {.layer = 0, .head = 0, .projection = "F"});
    EXPECT_EQ(f.matrix->values, snapshot.projections[1].values);
    EXPECT_EQ(f.title, "Projection F");
    EXPECT_EQ(f.detail, "layer 0, all heads");
    const ViewPicture pooled =
        findView("projection").make(snapshot, {.layer = 0, .head = 0, .projection = "E", .maxSide = 5});
    EXPECT_EQ(pooled.matrix->cols, 4);
    EXPECT_EQ(pooled.colBlock, 3);
    EXPECT_EQ(pooled.pooled, "abs-max");
    const auto& e = snapshot.projections[0].values;
    float strongest = 0;
    for (int i = 3; i < 6; ++i)
        if (std::abs(e[std::size_t(12 + i)]) > std::abs(strongest)) strongest = e[std::size_t(12 + i)];
    EXPECT_EQ(pooled.matrix->at(1, 1), strongest);
    EXPECT_THROW(findView("projection").make(snapshot, {.projection = "G"}), Error);
}

TEST(Views, AMechanismWithoutAMapSaysSo) {
    Snapshot full = linformerSnapshot();
    full.mechanism = "full";
    full.projections.clear();
    for (const char* name : {"exact", "own"}) EXPECT_TRUE(findView(name).available(full));
    EXPECT_EQ(findView("own").make(full, {}).title, findView("exact").make(full, {}).title);
    EXPECT_EQ(findView("own").make(linformerSnapshot(), {}).scale, ScaleKind::Diverging);
    for (const char* name : {"compressed", "lifted", "difference", "projection"}) {
        EXPECT_FALSE(findView(name).available(full)) << name;
        EXPECT_THROW(findView(name).make(full, {}), Error) << name;
    }
}

}  // namespace
}  // namespace linscope::viz

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/attention/hybrid/hybrid.h"
#include "core/attention/proof_case.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope {
namespace {

using proofs::Case;
using proofs::Form;
using testing::HasSubstr;

/// The parts of each layer as "name*heads".
std::vector<std::vector<std::string>> planOf(std::string_view plan, std::int64_t layers, std::int64_t heads) {
    std::vector<std::vector<std::string>> result;
    for (const auto& layer : readPlan(plan, layers, heads)) {
        auto& texts = result.emplace_back();
        for (const HybridPart& part : layer) texts.push_back(fmt::format("{}*{}", part.info->name, part.heads));
    }
    return result;
}

std::string planError(std::string_view plan, std::int64_t layers = 2, std::int64_t heads = 4) {
    try {
        readPlan(plan, layers, heads);
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

using Plan = std::vector<std::vector<std::string>>;

TEST(HybridPlan, RepeatsItsLayers) {
    EXPECT_EQ(planOf("full", 3, 4), (Plan{{"full*4"}, {"full*4"}, {"full*4"}}));
    EXPECT_EQ(planOf("window | full", 5, 2), (Plan{{"window*2"}, {"full*2"}, {"window*2"}, {"full*2"}, {"window*2"}}));
    EXPECT_EQ(planOf("full | linear | window", 3, 1), (Plan{{"full*1"}, {"linear*1"}, {"window*1"}}));
}

TEST(HybridPlan, SharesTheHeadsThatAreLeft) {
    EXPECT_EQ(planOf("full*3 + linear", 1, 8), (Plan{{"full*3", "linear*5"}}));
    EXPECT_EQ(planOf("full + linear", 1, 8), (Plan{{"full*4", "linear*4"}}));
    EXPECT_EQ(planOf("full + linear*2 + window", 1, 8), (Plan{{"full*3", "linear*2", "window*3"}}));
    EXPECT_EQ(planOf("full*1 + linear*7", 1, 8), (Plan{{"full*1", "linear*7"}}));
    EXPECT_EQ(planOf("linear*1 + linear*1", 1, 2), (Plan{{"linear*1", "linear*1"}})) << "two of one kind stay two";
}

TEST(HybridPlan, SpacesAreFree) {
    const Plan expected{{"window*2", "linformer*2"}, {"full*4"}};
    EXPECT_EQ(planOf("window(window=3)*2+linformer(k=2,sharing=none)*2|full", 2, 4), expected);
    EXPECT_EQ(planOf("  window ( window = 3 ) * 2 +\n linformer(\tk = 2 , sharing = none ) * 2  |  full ", 2, 4),
              expected);
    EXPECT_EQ(planOf("window()*2 + linformer( ) | full", 2, 4), expected);
}

TEST(HybridPlan, OptionsHaveTheirTypes) {
    const auto plan = readPlan(
        "window(window=9)*1 + linformer(k=[7], sharing=\"none\", kind=mean)*1 + performer(m=8)*1 + full*1", 1, 4);
    EXPECT_EQ(plan[0][0].options, (OptionValues{{"window", std::int64_t{9}}}));
    EXPECT_EQ(plan[0][1].options, (OptionValues{{"k", std::vector<std::int64_t>{7}},
                                                {"sharing", std::string("none")},
                                                {"kind", std::string("mean")}}));
    EXPECT_EQ(plan[0][2].options, (OptionValues{{"m", std::int64_t{8}}}));
    EXPECT_TRUE(plan[0][3].options.empty());
}

TEST(HybridPlan, NamesBracketsThatDoNotMatch) {
    EXPECT_EQ(planError("window(window=3"),
              "[hybrid] plan: brackets and quotes that close, but \"window(window=3\" leaves one open");
    EXPECT_EQ(planError("linformer(sharing=\"none)"),
              "[hybrid] plan: brackets and quotes that close, but \"linformer(sharing=\"none)\" leaves one open");
    EXPECT_EQ(
        planError("window window=3)"),
        "[hybrid] plan: a bracket that closes needs one that opens, but column 16 of \"window window=3)\" has none");
    EXPECT_EQ(planError("window(window=3) full"),
              "[hybrid] plan: nothing but *heads after the bracket, but found \"window(window=3) full\"");
    EXPECT_EQ(planError("window(window=3]"),
              "[hybrid] plan: nothing but *heads after the bracket, but found \"window(window=3]\"");
}

TEST(HybridPlan, NamesWhatIsUnknown) {
    EXPECT_EQ(planError("windw"), "[hybrid] plan: a mechanism, but \"windw\" is none; did you mean \"window\"?");
    EXPECT_THAT(planError("magic"), HasSubstr("plan: a mechanism, but \"magic\" is none; known are: full, linformer"));
    EXPECT_THAT(planError("magic"), testing::Not(HasSubstr("hybrid,")));
    EXPECT_EQ(planError("window(windows=3)"),
              "[hybrid] plan: an option of window, but \"windows\" is none; did you mean \"window\"?");
    EXPECT_EQ(planError("window(3)"), "[hybrid] plan: option=value for window, but found \"3\"");
    EXPECT_EQ(planError("window(window=3,)"), "[hybrid] plan: option=value for window, but found \"\"");
}

TEST(HybridPlan, NamesValuesThatCannotBe) {
    EXPECT_THAT(planError("linformer(k=0)"), testing::AllOf(HasSubstr("[hybrid] k: expected "), HasSubstr("found 0")));
    EXPECT_THAT(planError("linformer(k=many)"), HasSubstr("[hybrid] k: expected "));
    EXPECT_THAT(
        planError("linformer(sharing=some)"),
        HasSubstr("[hybrid] sharing: expected one of none, headwise, key_value, layerwise, but found \"some\""));
}

TEST(HybridPlan, CountsHaveToSum) {
    EXPECT_EQ(planError("full*3 + linear*2"),
              "[hybrid] plan: parts that share 4 heads, but \"full*3 + linear*2\" gives 5 to some and leaves -1 to 0 "
              "parts");
    EXPECT_THAT(planError("full*3"), HasSubstr("gives 3 to some and leaves 1 to 0 parts"));
    EXPECT_THAT(planError("full*4 + linear"), HasSubstr("gives 4 to some and leaves 0 to 1 parts"));
    EXPECT_THAT(planError("full*1 + linear + window"), HasSubstr("leaves 3 to 2 parts"));
    for (const char* count : {"0", "-1", "x", "2x", "1.5", "", "99999999999999999999"})
        EXPECT_EQ(planError(std::string("full*") + count),
                  fmt::format("[hybrid] plan: a count of heads from 1 to 4 after *, but found \"{}\"", count));
}

// Four times 2^62 is 0 in 64 bits.
TEST(HybridPlan, CountsThatWrapAroundAreRefused) {
    const std::string many = "full*4611686018427387904 + ";
    EXPECT_EQ(planError(many + many + many + many + "full*4"),
              "[hybrid] plan: a count of heads from 1 to 4 after *, but found \"4611686018427387904\"");
}

TEST(HybridPlan, RefusesMoreLayersThanTheModelHas) {
    EXPECT_EQ(planError("full | full | linear"),
              "[hybrid] plan: at most the model's 2 layers, but \"full | full | linear\" has 3");
}

TEST(HybridPlan, RefusesEmptyParts) {
    for (const char* plan : {"", " ", "full |", "| full", "full + ", "+ full"})
        EXPECT_EQ(planError(plan), "[hybrid] plan: a mechanism between the signs | and +, but found nothing") << plan;
}

TEST(HybridPlan, RefusesHybridsInHybrids) {
    EXPECT_EQ(planError("hybrid"), "[hybrid] plan: mechanisms as parts, but \"hybrid\" is made of parts itself");
    EXPECT_EQ(planError("full | hybrid(plan=\"full\")"),
              "[hybrid] plan: mechanisms as parts, but \"hybrid\" is made of parts itself");
}

OptionValues planned(const std::string& plan) {
    return {{"plan", plan}};
}

TEST(Hybrid, RefusesWhatAPartRefuses) {
    const auto error = [](const std::string& plan, const AttentionSizes& sizes) -> std::string {
        try {
            checkAttention(findMechanism("hybrid"), planned(plan), sizes);
        } catch (const Error& caught) {
            return caught.what();
        }
        return "no error";
    };
    const AttentionSizes encoder{.layers = 2, .heads = 4, .headWidth = 4, .length = 16};
    AttentionSizes decoder = encoder, biased = encoder;
    decoder.causal = true;
    biased.position = Position::Alibi;
    const std::string plan = "full + linformer(k=4)";
    EXPECT_EQ(error(plan, encoder), "no error");
    EXPECT_THAT(error(plan, decoder), HasSubstr("linformer has no causal form"));
    EXPECT_THAT(error(plan, biased), HasSubstr("linformer can have, but model.position is \"alibi\""));
    EXPECT_THAT(error("full | retention", encoder), HasSubstr("retention runs forward in time only"));
    EXPECT_THAT(error("full | linformer(k=17)", encoder), HasSubstr("but is 17"));
    EXPECT_THAT(error("linformer(k=[4, 8])", encoder), HasSubstr("got 2"));
}

TEST(Hybrid, TwoOfOneKindHaveNamesOfTheirOwn) {
    for (const char* sharing : {"none", "headwise", "key_value", "layerwise"}) {
        const AttentionSizes sizes{.layers = 3, .heads = 4, .headWidth = 4, .length = 16};
        const std::string part = fmt::format("linformer(k=4, sharing={})", sharing);
        ParameterStore store(1);
        const auto hybrid = findMechanism("hybrid").create(planned(part + " + " + part + " | " + part), sizes, store);
        std::set<std::string> names, labels;
        for (const Parameter& p : store.all()) {
            EXPECT_TRUE(names.insert(p.name).second) << p.name;
            EXPECT_TRUE(p.name.starts_with("attention.")) << p.name;
        }
        std::vector<Projection> projections = hybrid->projections();
        for (const Projection& p : projections) EXPECT_TRUE(labels.insert(p.label()).second) << p.label();
        EXPECT_EQ(labels.size(), names.size());
        // Each goes back to its own place.
        for (std::size_t i = 0; i < projections.size(); ++i)
            std::ranges::fill(projections[i].values, static_cast<float>(i));
        hybrid->setProjections(projections);
        const auto after = hybrid->projections();
        for (std::size_t i = 0; i < projections.size(); ++i) EXPECT_EQ(after[i].values, projections[i].values);
    }
}

// What one part alone makes of the same numbers, its parameters copied in their order.
TEST(Hybrid, OfOnePartIsThatMechanism) {
    for (const bool causal : {false, true})
        for (const Position position : {Position::None, Position::Alibi, Position::RelativeBias})
            for (const MechanismInfo& info : mechanisms()) {
                const AttentionSizes sizes{
                    .layers = 1, .heads = 2, .headWidth = 4, .length = 16, .causal = causal, .position = position};
                const OptionValues small = info.name == "linformer"  ? OptionValues{{"k", std::vector<std::int64_t>{5}}}
                                           : info.name == "nystrom"  ? OptionValues{{"landmarks", std::int64_t{4}}}
                                           : info.name == "reformer" ? OptionValues{{"chunk", std::int64_t{4}}}
                                           : info.name == "window"   ? OptionValues{{"window", std::int64_t{3}}}
                                                                     : OptionValues{};
                if (info.name == "hybrid") continue;
                try {
                    checkAttention(info, small, sizes);
                } catch (const Error&) {
                    continue;  // not in this form
                }
                SCOPED_TRACE(fmt::format("{} causal {} {}", info.name, causal, nameOf(position)));
                std::string plan(info.name);
                if (!small.empty()) plan += fmt::format("({}={})", small[0].first, toPlainText(small[0].second));
                const Case alone{&info, sizes, 2, small};
                const Case hybrid{&findMechanism("hybrid"), sizes, 2, planned(plan)};
                const proofs::Inputs inputs = proofs::randomInputs(alone);
                std::vector<std::vector<float>> values;
                const auto a = proofs::run(alone, inputs, Form::Fused, DType::F32, [&](ParameterStore& store) {
                    Random random(2, "values");
                    for (Parameter& p : store.all()) {
                        if (!p.buffer)
                            for (float& x : p.value.span<float>()) x += static_cast<float>(0.3 * random.normal());
                        values.emplace_back(p.value.span<float>().begin(), p.value.span<float>().end());
                    }
                });
                const auto b = proofs::run(hybrid, inputs, Form::Fused, DType::F32, [&](ParameterStore& store) {
                    ASSERT_EQ(store.all().size(), values.size());
                    for (std::size_t i = 0; i < values.size(); ++i) {
                        ASSERT_EQ(store.all()[i].value.elements(), static_cast<std::int64_t>(values[i].size()));
                        std::ranges::copy(values[i], store.all()[i].value.as<float>());
                    }
                });
                EXPECT_EQ(a.o, b.o);
                EXPECT_EQ(a.dq, b.dq);
                EXPECT_EQ(a.dk, b.dk);
                EXPECT_EQ(a.dv, b.dv);
                EXPECT_EQ(a.dParameters, b.dParameters);
            }
}

// A part computes on its own heads what it would alone.
TEST(Hybrid, PartsHaveTheirOwnHeads) {
    const AttentionSizes sizes{.heads = 3, .headWidth = 4, .length = 20};
    const auto output = [&](const std::string& plan) {
        const Case c{&findMechanism("hybrid"), sizes, 2, planned(plan)};
        const Case named{&findMechanism("full"), sizes, 2, {}};
        return proofs::run(c, proofs::randomInputs(named), Form::Fused, DType::F64).o;
    };
    const auto mixed = output("full*1 + window(window=3)*2"), full = output("full"),
               window = output("window(window=3)");
    for (std::size_t i = 0; i < mixed.size(); ++i)
        EXPECT_NEAR(mixed[i], (i / 4 % 3 == 0 ? full : window)[i], 1e-14) << i;
}

struct Decoder {
    ParameterStore store{1};
    std::unique_ptr<Mechanism> mechanism =
        findMechanism("hybrid").create(planned("window(window=3)*1 + full*2 + linear | retention"),
                                       {.layers = 2, .heads = 4, .headWidth = 4, .length = 16, .causal = true}, store);
};

std::vector<float> steps(DecodingState& state, int begin, int end) {
    std::vector<float> outputs;
    for (int t = begin; t < end; ++t) {
        Random random(9, fmt::format("token {}", t));
        std::vector<float> q(16), k(16), v(16), o(16);
        for (auto* x : {&q, &k, &v})
            for (float& value : *x) value = static_cast<float>(random.normal());
        state.step(q, k, v, o);
        outputs.insert(outputs.end(), o.begin(), o.end());
    }
    return outputs;
}

TEST(HybridDecoding, GoesOnFromASavedState) {
    const Decoder decoder;
    for (const int layer : {0, 1})
        for (const int saved : {0, 1, 2, 3, 7}) {
            const auto state = decoder.mechanism->startDecoding(layer), again = decoder.mechanism->startDecoding(layer);
            steps(*state, 0, saved);
            again->load(state->save());
            EXPECT_EQ(again->save(), state->save());
            EXPECT_EQ(steps(*again, saved, 10), steps(*state, saved, 10)) << "layer " << layer << " after " << saved;
        }
}

TEST(HybridDecoding, RefusesNumbersThatAreNotItsOwn) {
    const Decoder decoder;
    const auto state = decoder.mechanism->startDecoding(0);
    steps(*state, 0, 5);
    const std::vector<float> saved = state->save();
    for (std::size_t count = 0; count < saved.size(); ++count)
        EXPECT_THROW(decoder.mechanism->startDecoding(0)->load(std::span(saved).first(count)), Error) << count;
    std::vector<float> more = saved;
    more.push_back(0);
    EXPECT_THROW(decoder.mechanism->startDecoding(0)->load(more), Error);
    for (const float count : {-1.0f, 0.5f, 1e30f, std::numeric_limits<float>::quiet_NaN()})
        for (const std::size_t at : {0u, 1u}) {
            std::vector<float> damaged = saved;
            damaged[at] = count;
            EXPECT_THROW(decoder.mechanism->startDecoding(0)->load(damaged), Error) << count << " at " << at;
        }
}

}  // namespace
}  // namespace linscope

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/attention/proof_case.h"
#include "core/base/error.h"

namespace linscope {
namespace {

using namespace proofs;

// The same algebra in another order, in double.
constexpr double kBound = 1e-12;

const MechanismInfo& causalLinformer() {
    return findMechanism("linformer_causal");
}

Case caseOf(std::int64_t length, std::int64_t block, std::int64_t slots, const char* sharing = "layerwise") {
    return {&causalLinformer(),
            {.heads = 2, .headWidth = 6, .length = length, .causal = true},
            1,
            {{"block", block}, {"slots", slots}, {"sharing", std::string(sharing)}}};
}

Outcome fullAttention(Case c, const Inputs& inputs) {
    c.info = &findMechanism("full");
    c.options = {};
    return run(c, inputs, Form::Naive, DType::F64);
}

void expectSame(const Outcome& a, const Outcome& b) {
    EXPECT_LT(relativeError(a.o, b.o), kBound);
    EXPECT_LT(relativeError(a.dq, b.dq), kBound);
    EXPECT_LT(relativeError(a.dk, b.dk), kBound);
    EXPECT_LT(relativeError(a.dv, b.dv), kBound);
}

// With E = F = I each slot is a token, and nothing is approximate any more.
TEST(LinformerCausal, IdentitiesGiveFullAttention) {
    for (const std::int64_t length : {23, 24, 40}) {
        const Case c = caseOf(length, 8, 8);
        Inputs inputs = randomInputs(c);
        for (const bool padded : {false, true}) {
            if (padded) {  // whole blocks alone: in others, padding is a slot of zeros here
                inputs.keep.assign(static_cast<std::size_t>(length), 1.0f);
                std::fill_n(inputs.keep.begin() + 8, 8, 0.0f);
            }
            const Outcome outcome = run(c, inputs, Form::Fused, DType::F64, [](ParameterStore& store) {
                const Tensor& e = store.find("attention.E")->value;
                for (std::int64_t i = 0; i < e.elements(); ++i) e.as<double>()[i] = i % 9 == 0 ? 1 : 0;
            });
            expectSame(outcome, fullAttention(c, inputs));
        }
    }
}

TEST(LinformerCausal, OneBlockIsFullAttention) {
    const Case c = caseOf(20, 20, 3, "none");
    const Inputs inputs = randomInputs(c);
    const Outcome outcome = run(c, inputs, Form::Fused, DType::F64);
    expectSame(outcome, fullAttention(c, inputs));
    for (const Numbers& gradient : outcome.dParameters) EXPECT_THAT(gradient, testing::Each(0.0));
}

// A block of padding alone leaves no slots: the tokens after it are where they would be without it.
TEST(LinformerCausal, BlocksOfPaddingAreNotThere) {
    const Case c = caseOf(19, 5, 2, "headwise");
    Inputs padded = randomInputs(c);
    const std::size_t row = 12, gap = 5 * row, at = 5 * row;
    padded.keep.assign(19, 1.0f);
    std::fill_n(padded.keep.begin() + 5, 5, 0.0f);
    Inputs alone = padded;
    alone.keep.clear();
    alone.length = 14;
    std::fill_n(padded.upstream.begin() + at, gap, 0.0);
    for (Numbers* numbers : {&padded.k, &padded.v})
        std::fill_n(numbers->begin() + at, gap, std::numeric_limits<double>::quiet_NaN());
    const auto without = [&](Numbers numbers) {
        numbers.erase(numbers.begin() + at, numbers.begin() + at + gap);
        return numbers;
    };
    for (Numbers* numbers : {&alone.q, &alone.k, &alone.v, &alone.upstream}) *numbers = without(*numbers);
    for (const Form form : {Form::Naive, Form::Fused}) {
        const Outcome whole = run(c, padded, form, DType::F64), part = run(c, alone, form, DType::F64);
        expectSame({without(whole.o), without(whole.dq), without(whole.dk), without(whole.dv), {}}, part);
        for (std::size_t p = 0; p < part.dParameters.size(); ++p)
            EXPECT_LT(relativeError(whole.dParameters[p], part.dParameters[p]), kBound);
    }
}

TEST(LinformerCausal, RefusesWhatItCannotHave) {
    const auto message = [](OptionValues options, AttentionSizes sizes) -> std::string {
        try {
            checkAttention(causalLinformer(), options, sizes);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    const AttentionSizes sizes{.length = 16, .causal = true};
    const OptionValues fits{{"block", std::int64_t{4}}, {"slots", std::int64_t{2}}};
    EXPECT_EQ(message(fits, sizes), "");
    EXPECT_THAT(message({{"block", std::int64_t{17}}}, sizes), testing::HasSubstr("at most the length 16, but is 17"));
    EXPECT_THAT(message({{"block", std::int64_t{4}}, {"slots", std::int64_t{5}}}, sizes),
                testing::HasSubstr("slots must be at most block, 4"));
    EXPECT_THAT(message({{"block", std::int64_t{0}}}, sizes), testing::HasSubstr("block"));
    EXPECT_THAT(
        message({{"block", std::int64_t{4}}, {"slots", std::int64_t{2}}, {"sharing", std::string("some")}}, sizes),
        testing::HasSubstr("layerwise"));
    EXPECT_THAT(message(fits, {.length = 16}), testing::HasSubstr("forward in time"));
    for (const Position position : {Position::Alibi, Position::RelativeBias})
        EXPECT_THAT(message(fits, {.length = 16, .causal = true, .position = position}),
                    testing::HasSubstr("a slot has no place"));
    EXPECT_EQ(positionFit(causalLinformer(), Position::Rotary, true).fit, Fit::Approximate);
}

// A state that somebody made by hand is an Error, never a crash.
TEST(LinformerCausal, RefusesStatesThatCannotBe) {
    for (const char* name : {"linformer_causal", "full", "window"}) {
        const MechanismInfo& info = findMechanism(name);
        const OptionValues options = name == std::string("linformer_causal")
                                         ? OptionValues{{"block", std::int64_t{3}}, {"slots", std::int64_t{2}}}
                                         : OptionValues{};
        ParameterStore store(1);
        const auto mechanism = info.create(options, {.headWidth = 2, .length = 9, .causal = true}, store);
        const auto state = mechanism->startDecoding(0);
        std::vector<float> token{1, 2}, o(2);
        for (int t = 0; t < 6; ++t) state->step(token, token, token, o);
        const std::vector<float> good = state->save();
        EXPECT_NO_THROW(state->load(good)) << name;
        for (const std::size_t half : {std::size_t{0}, std::size_t{1}})
            for (const float bad : {-1.0f, 0.5f, 1e30f, 9.0f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
                std::vector<float> numbers = good;
                numbers[half] = bad;
                EXPECT_THROW(state->load(numbers), Error) << name << " " << half << " " << bad;
            }
        EXPECT_THROW(state->load(std::span(good).first(1)), Error) << name;
        EXPECT_THROW(state->load(std::span(good).first(good.size() - 1)), Error) << name;
        EXPECT_THROW(state->load({}), Error) << name;
        state->step(token, token, token, o);  // what was there before is still good
    }
}

}  // namespace
}  // namespace linscope

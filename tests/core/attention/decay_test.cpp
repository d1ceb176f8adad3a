#include <gmock/gmock.h>

#include <cmath>

#include "core/attention/proof_case.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

// What theory says of retention and of the delta rule in particular.

namespace linscope {
namespace {

using namespace proofs;

Case caseOf(const char* mechanism, std::int64_t length, std::int64_t heads, std::int64_t width, OptionValues options) {
    return {&findMechanism(mechanism),
            {.heads = heads, .headWidth = width, .length = length, .causal = true},
            1,
            std::move(options)};
}

std::string refusal(const char* mechanism, const OptionValues& options, const AttentionSizes& sizes) {
    try {
        checkAttention(findMechanism(mechanism), options, sizes);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

TEST(Retention, ForgetsByItsFactorAtEveryPlaceAndOverPadding) {
    const Case c = caseOf("retention", 100, 2, 1, {{"normalise", false}});
    Inputs inputs{100, Numbers(200, 1.0), Numbers(200, 0.0), Numbers(200, 0.0), Numbers(200, 1.0), {}};
    for (std::size_t h = 0; h < 2; ++h) inputs.k[h] = inputs.v[h] = 1;
    inputs.keep.assign(100, 1.0f);
    std::fill(inputs.keep.begin() + 20, inputs.keep.begin() + 90, 0.0f);
    const Outcome outcome = run(c, inputs, Form::Fused, DType::F64);
    for (std::size_t t = 0; t < 100; ++t)
        for (std::size_t h = 0; h < 2; ++h)
            EXPECT_NEAR(outcome.o[t * 2 + h], std::pow(h == 0 ? 31.0 / 32 : 63.0 / 64, t), 1e-14);
}

TEST(Retention, RefusesDecaysOutsideZeroToOne) {
    const AttentionSizes sizes{.heads = 4, .headWidth = 8, .length = 16, .causal = true};
    EXPECT_EQ(refusal("retention", {}, sizes), "accepted");
    EXPECT_THAT(refusal("retention", {{"decay_from", 0.0}}, sizes), testing::HasSubstr("head 0 has 0"));
    EXPECT_THAT(refusal("retention", {{"decay_step", -2.0}}, sizes), testing::HasSubstr("head 3 has -1"));
    EXPECT_THAT(refusal("retention", {{"decay_step", 20.0}}, sizes), testing::HasSubstr("head 3 has 65"));
}

TEST(DecayingMemories, RunForwardInTimeOnly) {
    for (const char* name : {"retention", "gated_delta"}) {
        EXPECT_THAT(refusal(name, {}, {.heads = 2, .headWidth = 4, .length = 8}),
                    testing::HasSubstr("runs forward in time only"));
        for (const Position position : {Position::Alibi, Position::RelativeBias})
            EXPECT_EQ(positionFit(findMechanism(name), position, true).fit, Fit::Refused);
    }
    EXPECT_EQ(positionFit(findMechanism("retention"), Position::Rotary, true).fit, Fit::Exact);
    EXPECT_EQ(positionFit(findMechanism("gated_delta"), Position::Rotary, true).fit, Fit::Approximate);
}

// Padded places are as if they were not there: nothing is forgotten at them.
TEST(GatedDelta, AGapOfPaddingIsNoGap) {
    const std::int64_t length = 90, row = 2 * 4;
    const Case c = caseOf("gated_delta", length, 2, 4, {});
    const Inputs inputs = randomInputs(c);
    Inputs gapped = inputs;
    Inputs closed = inputs;
    gapped.keep.assign(static_cast<std::size_t>(length), 1.0f);
    std::fill(gapped.keep.begin() + 10, gapped.keep.begin() + 40, 0.0f);
    closed.length = length - 30;
    for (Numbers* numbers : {&closed.q, &closed.k, &closed.v, &closed.upstream})
        numbers->erase(numbers->begin() + 10 * row, numbers->begin() + 40 * row);
    Outcome whole = run(c, gapped, Form::Fused, DType::F64);
    whole.o.erase(whole.o.begin() + 10 * row, whole.o.begin() + 40 * row);
    EXPECT_LT(relativeError(whole.o, run(c, closed, Form::Fused, DType::F64).o), 1e-12);
}

// The chunk is a matter of speed alone.
TEST(GatedDelta, GivesTheSameWithAnyChunk) {
    Case c = caseOf("gated_delta", 150, 2, 8, {});
    const Inputs inputs = randomInputs(c);
    const Outcome reference = run(c, inputs, Form::Fused, DType::F64);
    for (const std::int64_t chunk : {1, 7, 150, 256}) {
        c.options = {{"chunk", chunk}};
        const Outcome outcome = run(c, inputs, Form::Fused, DType::F64);
        EXPECT_LT(relativeError(outcome.o, reference.o), 1e-12) << chunk;
        EXPECT_LT(relativeError(outcome.dk, reference.dk), 1e-11) << chunk;
        EXPECT_LT(relativeError(outcome.dParameters[2], reference.dParameters[2]), 1e-11) << chunk;
    }
}

// Gates of sums of log α far beyond what an exponential holds: nothing overflows, and the past is gone.
TEST(GatedDelta, ForgetsEverythingWithoutOverflow) {
    const Case c = caseOf("gated_delta", 130, 1, 4, {{"normalise", false}});
    const Inputs inputs = randomInputs(c);
    const auto forgetting = [](ParameterStore& store) {
        for (Parameter& parameter : store.all())
            if (parameter.name.ends_with("alpha.bias")) parameter.value.as<float>()[0] = -300;
    };
    for (const Form form : {Form::Fused, Form::Naive}) {
        const Outcome outcome = run(c, inputs, form, DType::F32, forgetting);
        for (const Numbers* numbers : {&outcome.o, &outcome.dq, &outcome.dk, &outcome.dv})
            for (const double x : *numbers) ASSERT_TRUE(std::isfinite(x));
        for (const double x : outcome.dParameters[3]) EXPECT_NEAR(x, 0, 1e-6);
    }
}

// Heads are shared out to threads whole, and sums over samples are one thread's.
TEST(DecayingMemories, DoNotDependOnTheNumberOfThreads) {
    const int before = threadCount();
    for (const char* name : {"retention", "gated_delta"}) {
        Case c = caseOf(name, 150, 3, 16, {});
        c.batch = 3;
        const Inputs inputs = randomInputs(c);
        std::vector<Outcome> outcomes;
        for (const int threads : {1, 2, 5}) {
            setThreadCount(threads);
            outcomes.push_back(run(c, inputs, Form::Fused, DType::F32));
        }
        for (const Outcome& other : outcomes) {
            EXPECT_EQ(other.o, outcomes[0].o);
            EXPECT_EQ(other.dq, outcomes[0].dq);
            EXPECT_EQ(other.dk, outcomes[0].dk);
            EXPECT_EQ(other.dv, outcomes[0].dv);
            EXPECT_EQ(other.dParameters, outcomes[0].dParameters);
        }
    }
    setThreadCount(before);
}

}  // namespace
}  // namespace linscope

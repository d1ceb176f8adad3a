#include <gmock/gmock.h>

#include "tests/core/attention/golden.h"

// Retention and the gated delta rule against the naive recurrences of fla-core (tests/golden/make_decay.py).

namespace linscope {
namespace {

using namespace proofs;

// fla-core's recurrences are in single precision, and the file has 7 digits of them.
constexpr double kGoldenBound = 1e-5;

class DecayGolden : public testing::Test {
protected:
    void compare(const char* mechanism, OptionValues options, const char* entry) {
        const nlohmann::json &sizes = m_golden.at("sizes"), &in = m_golden.at("inputs"), &want = m_golden.at(entry);
        const Case c{
            &findMechanism(mechanism),
            {.heads = sizes.at("heads"), .headWidth = sizes.at("width"), .length = sizes.at("length"), .causal = true},
            sizes.at("batch"),
            std::move(options)};
        const Inputs inputs{c.sizes.length, in.at("q"), in.at("k"), in.at("v"), in.at("upstream"), {}};
        std::vector<std::string> names;
        const auto setGates = [&](ParameterStore& store) {
            names.clear();
            for (Parameter& parameter : store.all()) {
                names.push_back(parameter.name.substr(std::string("attention.layer0.").size()));
                const Numbers values = in.at(names.back());
                for (std::size_t i = 0; i < values.size(); ++i) parameter.value.as<double>()[i] = values[i];
            }
        };
        const Outcome outcome = run(c, inputs, Form::Fused, DType::F64, setGates);
        EXPECT_LT(relativeError(outcome.o, want.at("o")), kGoldenBound);
        EXPECT_LT(relativeError(outcome.dq, want.at("dq")), kGoldenBound);
        EXPECT_LT(relativeError(outcome.dk, want.at("dk")), kGoldenBound);
        EXPECT_LT(relativeError(outcome.dv, want.at("dv")), kGoldenBound);
        for (std::size_t p = 0; p < names.size(); ++p)
            EXPECT_LT(relativeError(outcome.dParameters[p], want.at("d" + names[p])), kGoldenBound) << names[p];
        EXPECT_EQ(want.size(), 4 + names.size());
    }
    nlohmann::json m_golden = golden::read("decay");
};

TEST_F(DecayGolden, RetentionIsThatOfFla) {
    compare("retention", {{"normalise", false}}, "retention");
}

TEST_F(DecayGolden, GatedDeltaIsThatOfFla) {
    compare("gated_delta", {}, "gated_delta");
}

TEST_F(DecayGolden, DeltaWithoutForgettingIsThatOfFla) {
    compare("gated_delta", {{"gate", std::string("none")}, {"beta_max", 2.0}, {"normalise", false}},
            "delta, beta_max 2, not normalised");
}

}  // namespace
}  // namespace linscope

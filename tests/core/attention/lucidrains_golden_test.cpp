#include <gmock/gmock.h>

#include <map>

#include "tests/core/attention/golden.h"

// Linformer and Performer against lucidrains' linformer and performer-pytorch (tests/golden/make_lucidrains.py).
//
// What is avoided there, since it differs from the definition here:
// - linformer has no mask: where tokens are padded, it is given keys and values that are zero already. Its share_kv
//   ties the values to the keys beside E = F: compared with v = k, the gradients of both added.
// - performer-pytorch adds ε = 1e-4 to each feature after dividing by e^max, and 1e-6 to causal sums of keys. The
//   stabiliser then does not cancel, and its keys' maximum is that of the whole sequence, future included. With
//   ε = 0, as its functions are called here, both compute the same estimate. (The ReLU kernel's 1e-3 is in both.)
// - Its mask zeroes values alone and leaves padded keys in the denominator: it is given the kept keys alone.
// - Its orthogonal directions are Q of a QR without the signs of R, one set for all heads: the directions are given.

namespace linscope {
namespace {

using namespace proofs;

// Both sides compute in double; the files have 12 digits.
constexpr double kBound = 1e-10;

Numbers sum(Numbers a, const Numbers& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
}

class LucidrainsGolden : public testing::TestWithParam<const char*> {};

TEST_P(LucidrainsGolden, AgreesForwardAndBackward) {
    const nlohmann::json cases = golden::read(GetParam());
    ASSERT_FALSE(cases.empty());
    for (const nlohmann::json& golden : cases) {
        const Case c = golden::caseOf(golden, golden.at("trained"));
        const bool tied = !golden.contains("v");
        const Inputs inputs{golden.at("length"),   golden.at("q"),
                            golden.at("k"),        golden.at(tied ? "k" : "v"),
                            golden.at("upstream"), golden.value("keep", std::vector<float>{})};
        const auto values = golden.at("parameters").get<std::map<std::string, Numbers>>();
        const auto gradients = golden.at("gradients").get<std::map<std::string, Numbers>>();
        for (const Form form : {Form::Naive, Form::Fused}) {
            std::vector<std::string> names;
            const Outcome outcome = run(c, inputs, form, DType::F64, [&](ParameterStore& store) {
                for (Parameter& parameter : store.all()) {
                    names.push_back(parameter.name);
                    const Numbers& given = values.at(parameter.name);
                    ASSERT_EQ(static_cast<std::size_t>(parameter.value.elements()), given.size());
                    std::copy(given.begin(), given.end(), parameter.value.as<double>());
                }
            });
            EXPECT_LT(relativeError(outcome.o, golden.at("o")), kBound) << c.text();
            EXPECT_LT(relativeError(outcome.dq, golden.at("dq")), kBound) << c.text();
            if (tied) {
                EXPECT_LT(relativeError(sum(outcome.dk, outcome.dv), golden.at("dk")), kBound) << c.text();
            } else {
                EXPECT_LT(relativeError(outcome.dk, golden.at("dk")), kBound) << c.text();
                EXPECT_LT(relativeError(outcome.dv, golden.at("dv")), kBound) << c.text();
            }
            EXPECT_EQ(names.size(), values.size());
            for (std::size_t p = 0; p < names.size(); ++p)
                if (gradients.contains(names[p])) {
                    EXPECT_LT(relativeError(outcome.dParameters[p], gradients.at(names[p])), kBound) << names[p];
                }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Compressed, LucidrainsGolden, testing::Values("linformer", "performer"),
                         [](const auto& entry) { return std::string(entry.param); });

}  // namespace
}  // namespace linscope

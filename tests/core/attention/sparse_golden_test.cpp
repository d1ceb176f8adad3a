#include <gmock/gmock.h>

#include "tests/core/attention/golden.h"

// Outputs and gradients of other implementations, written by tests/golden/make_sparse.py.

namespace linscope {
namespace {

using proofs::Case;
using proofs::Form;
using proofs::Inputs;
using proofs::Numbers;
using proofs::Outcome;

// Both sides compute in double; the files have 12 digits.
constexpr double kBound = 1e-10;

/// Only the rows of tokens that the case compares, [T] 0 or 1; all when empty.
Numbers compared(Numbers numbers, const std::vector<int>& rows) {
    for (std::size_t i = 0; !rows.empty() && i < numbers.size(); ++i)
        if (rows[i / (numbers.size() / rows.size())] == 0) numbers[i] = 0;
    return numbers;
}

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, AgreesForwardAndBackward) {
    const nlohmann::json cases = golden::read(GetParam());
    ASSERT_FALSE(cases.empty());
    for (const nlohmann::json& golden : cases) {
        const Case c = golden::caseOf(golden, golden.at("length"));
        const Inputs inputs{c.sizes.length,
                            golden.at("q").get<Numbers>(),
                            golden.at("k").get<Numbers>(),
                            golden.at("v").get<Numbers>(),
                            golden.at("upstream").get<Numbers>(),
                            golden.value("keep", std::vector<float>{})};
        const auto rotations = golden.value("rotations", Numbers{});
        const double bound = golden.value("bound", kBound);
        const auto rows = golden.value("rows", std::vector<int>{});
        for (const Form form : {Form::Naive, Form::Fused}) {
            const Outcome outcome = proofs::run(c, inputs, form, DType::F64, [&](ParameterStore& store) {
                if (rotations.empty()) return;
                const Tensor& buffer = store.find("attention.layer0.rotations")->value;
                ASSERT_EQ(static_cast<std::size_t>(buffer.elements()), rotations.size());
                std::copy(rotations.begin(), rotations.end(), buffer.as<double>());
            });
            const Numbers o = golden.at("o").get<Numbers>();
            EXPECT_LT(proofs::relativeError(compared(outcome.o, rows), compared(o, rows)), bound) << c.text();
            EXPECT_LT(proofs::relativeError(outcome.dq, golden.at("dq").get<Numbers>()), bound) << c.text();
            EXPECT_LT(proofs::relativeError(outcome.dk, golden.at("dk").get<Numbers>()), bound) << c.text();
            EXPECT_LT(proofs::relativeError(outcome.dv, golden.at("dv").get<Numbers>()), bound) << c.text();
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Sparse, Golden, testing::Values("window", "nystrom", "reformer"),
                         [](const auto& entry) { return std::string(entry.param); });

}  // namespace
}  // namespace linscope

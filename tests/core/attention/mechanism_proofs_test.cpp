#include <gmock/gmock.h>

#include "core/attention/proof_case.h"
#include "core/attention/proofs.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/tensor/arena.h"

namespace linscope {
namespace {

std::vector<const MechanismInfo*> allMechanisms() {
    std::vector<const MechanismInfo*> all;
    for (const MechanismInfo& info : mechanisms()) all.push_back(&info);
    return all;
}

class MechanismProofs : public testing::TestWithParam<const MechanismInfo*> {};

TEST_P(MechanismProofs, AllHold) {
    // ctest runs programs side by side, whose threads would wait for each other; `linscope check` has all threads.
    setThreadCount(1);
    for (const ProofResult& result : runProofs(*GetParam()))
        EXPECT_TRUE(result.passed) << result.mechanism << ": " << result.proof << ": worst " << result.worst
                                   << ", bound " << result.bound << ", at " << result.worstCase;
}

INSTANTIATE_TEST_SUITE_P(Registered, MechanismProofs, testing::ValuesIn(allMechanisms()),
                         [](const auto& entry) { return std::string(entry.param->name); });

// The measure that all proofs rest on must see an error and a NaN.
TEST(RelativeError, SeesErrorsAndNaN) {
    EXPECT_EQ(proofs::relativeError({1, 2}, {1, 2}), 0);
    EXPECT_NEAR(proofs::relativeError({1.1, -2.2}, {1, -2}), 0.1, 1e-12);
    EXPECT_TRUE(std::isnan(proofs::relativeError({std::nan(""), 2}, {1, 2})));
    EXPECT_TRUE(std::isnan(proofs::relativeError({1}, {1, 2})));
}

TEST(Registry, NamesWhatThereIs) {
    try {
        findMechanism("lineformer");
        FAIL();
    } catch (const Error& error) {
        EXPECT_THAT(error.what(),
                    testing::AllOf(testing::HasSubstr("full, linformer"), testing::HasSubstr("lineformer")));
    }
}

TEST(Linformer, RefusesMoreSlotsThanTokens) {
    const MechanismInfo& info = findMechanism("linformer");
    EXPECT_THROW(info.validate({{"k", std::vector<std::int64_t>{65}}}, {.length = 64}), Error);
    EXPECT_NO_THROW(info.validate({{"k", std::vector<std::int64_t>{64}}}, {.length = 64}));
}

TEST(Linformer, LayerwiseSharingHasOneK) {
    const MechanismInfo& info = findMechanism("linformer");
    const OptionValue two = std::vector<std::int64_t>{8, 4};
    EXPECT_THROW(info.validate({{"k", two}}, {.layers = 2, .length = 64}), Error);
    EXPECT_NO_THROW(info.validate({{"k", two}, {"sharing", std::string("key_value")}}, {.layers = 2, .length = 64}));
    EXPECT_THROW(info.validate({{"k", two}, {"sharing", std::string("key_value")}}, {.layers = 3, .length = 64}),
                 Error);
}

TEST(Linformer, SharingCountsMatrices) {
    const MechanismInfo& info = findMechanism("linformer");
    const auto count = [&](const char* sharing) {
        ParameterStore store(1);
        const auto mechanism = info.create({{"k", std::vector<std::int64_t>{4}}, {"sharing", std::string(sharing)}},
                                           {.layers = 3, .heads = 2, .headWidth = 4, .length = 8}, store);
        EXPECT_EQ(mechanism->projections().size(), store.all().size());
        return store.all().size();
    };
    EXPECT_EQ(count("none"), 12u);
    EXPECT_EQ(count("headwise"), 6u);
    EXPECT_EQ(count("key_value"), 3u);
    EXPECT_EQ(count("layerwise"), 1u);
}

}  // namespace
}  // namespace linscope

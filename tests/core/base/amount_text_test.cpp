#include "core/base/amount_text.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/base/fnv.h"

namespace linscope {
namespace {

TEST(AmountText, SizesHaveUnits) {
    EXPECT_EQ(sizeText(0), "0 bytes");
    EXPECT_EQ(sizeText(999), "999 bytes");
    EXPECT_EQ(sizeText(4'200), "4.2 kB");
    EXPECT_EQ(sizeText(4'400'000), "4.4 MB");
    EXPECT_EQ(sizeText(1'250'000'000), "1.25 GB");
}

TEST(AmountText, DurationsAreOfTwoUnits) {
    EXPECT_EQ(durationText(0.4), "0 s");
    EXPECT_EQ(durationText(59.6), "1 min 00 s");
    EXPECT_EQ(durationText(185), "3 min 05 s");
    EXPECT_EQ(durationText(7620), "2 h 07 min");
    EXPECT_EQ(durationText(-1), "?");
    EXPECT_EQ(durationText(std::nan("")), "?");
}

// Values of the authors' own test suite (draft-eastlake-fnv, appendix C).
TEST(Fnv, IsThePublishedOne) {
    EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325U);
    EXPECT_EQ(fnv1a("a"), 0xaf63dc4c8601ec8cU);
    EXPECT_EQ(fnv1a("foobar"), 0x85944171f73967e8U);
}

}  // namespace
}  // namespace linscope

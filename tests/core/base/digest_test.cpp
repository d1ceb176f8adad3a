#include "core/base/digest.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace linscope {
namespace {

std::string digestOf(const std::vector<std::string>& parts) {
    Digest digest;
    for (const std::string& part : parts) digest.add(part);
    return digest.text();
}

// As it is in files, for ever.
TEST(Digest, StaysTheSame) {
    EXPECT_EQ(digestOf({}), "9e3779b97f4a7c15");
    EXPECT_EQ(digestOf({"And God said"}), digestOf({"And God said"}));
}

TEST(Digest, KnowsPartsOrderAndZeros) {
    const std::string zero(1, '\0');
    const std::vector<std::vector<std::string>> all{
        {},      {""},        {"", ""}, {"a"},         {"b"},        {"ab", "c"},         {"a", "bc"},
        {"abc"}, {"c", "ab"}, {zero},   {zero + zero}, {"12345678"}, {"12345678" + zero}, {"12345678", ""}};
    std::set<std::string> digests;
    for (const auto& parts : all) digests.insert(digestOf(parts));
    EXPECT_EQ(digests.size(), all.size());
}

// Every bit of a text counts, and changes about half of the digest's.
TEST(Digest, EveryBitCounts) {
    const std::string text(100, 'x');
    const auto number = [](const std::string& digest) { return std::stoull(digest, nullptr, 16); };
    const auto whole = number(digestOf({text}));
    int least = 64;
    for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
        std::string changed = text;
        changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
        least = std::min(least, __builtin_popcountll(whole ^ number(digestOf({changed}))));
    }
    EXPECT_GE(least, 10);
}

}  // namespace
}  // namespace linscope

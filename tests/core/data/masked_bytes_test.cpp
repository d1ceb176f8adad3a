#include "core/data/masked_bytes/masked_bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "temp_folder.h"

namespace linscope {
namespace {

using testing::HasSubstr;

/// Text in which every window of four bytes stands at one place only: the place can be read from the window.
TextSource numbered(std::size_t count) {
    TextSource source;
    source.name = "numbered";
    for (std::size_t i = 0; i < count; ++i) {
        source.text += static_cast<char>(128 + i / 64 % 64);
        source.text += static_cast<char>(i % 64);
    }
    source.lines = 1;
    return source;
}

TextSource repeated(std::string_view text, std::size_t bytes) {
    TextSource source;
    source.name = "repeated";
    while (source.text.size() < bytes) source.text += text;
    source.text.resize(bytes);
    source.lines = 1;
    return source;
}

MaskedBytesOptions small() {
    MaskedBytesOptions options;
    options.length = 64;
    options.batch = 4;
    options.validationFraction = 0.25;
    return options;
}

bool same(const Batch& a, const Batch& b) {
    return a.tokens == b.tokens && a.selected == b.selected && a.targets == b.targets;
}

/// The bytes of sequence `b` before they were masked.
std::string original(const Batch& batch, std::int64_t b) {
    std::vector<std::int32_t> tokens = batch.tokens;
    for (std::size_t i = 0; i < batch.selected.size(); ++i)
        tokens[static_cast<std::size_t>(batch.selected[i])] = batch.targets[i];
    std::string text;
    for (std::int64_t t = 0; t < batch.length; ++t)
        text += static_cast<char>(tokens[static_cast<std::size_t>(b * batch.length + t)]);
    return text;
}

TEST(MaskedBytes, BatchesHaveTheirShapeAndAlwaysTheSameNumberSelected) {
    MaskedBytes task(small(), 1, numbered(2000));
    EXPECT_EQ(task.selectedPerSequence(), 10) << "round(0.15 * 64)";
    for (int i = 0; i < 200; ++i) {
        Batch batch;
        if (i % 2)
            task.nextBatch(batch);
        else
            task.validationBatch(i, batch);
        ASSERT_EQ(batch.batch, 4);
        ASSERT_EQ(batch.length, 64);
        ASSERT_EQ(batch.tokens.size(), 4u * 64u);
        ASSERT_EQ(batch.selected.size(), 40u);
        ASSERT_EQ(batch.targets.size(), 40u);
        for (std::size_t n = 0; n < batch.selected.size(); ++n) {
            ASSERT_EQ(batch.selected[n] / 64, static_cast<std::int64_t>(n / 10)) << "ten in every sequence";
            if (n) {
                ASSERT_LT(batch.selected[n - 1], batch.selected[n]);
            }
            ASSERT_GE(batch.targets[n], 0);
            ASSERT_LT(batch.targets[n], 256);
        }
        for (const std::int32_t token : batch.tokens) {
            ASSERT_GE(token, 0);
            ASSERT_LT(token, task.vocabulary());
        }
    }
}

TEST(MaskedBytes, OnePlaceIsSelectedAtLeast) {
    MaskedBytesOptions options = small();
    options.length = 2;
    options.maskFraction = 0.001;
    MaskedBytes task(options, 1, numbered(2000));
    Batch batch;
    task.nextBatch(batch);
    EXPECT_EQ(batch.selected.size(), 4u);
}

TEST(MaskedBytes, WindowsStayInTheirPart) {
    MaskedBytes task(small(), 1, numbered(1000));
    const std::string training(task.trainingText()), heldOut(task.heldOutText());
    ASSERT_EQ(training.size(), 1500u);
    ASSERT_EQ(heldOut.size(), 500u);
    std::set<std::size_t> starts;
    for (int i = 0; i < 2000; ++i) {
        Batch batch;
        task.nextBatch(batch);
        for (std::int64_t b = 0; b < 4; ++b) {
            const auto at = training.find(original(batch, b));
            ASSERT_NE(at, std::string::npos);
            starts.insert(at);
        }
        task.validationBatch(i, batch);
        for (std::int64_t b = 0; b < 4; ++b) ASSERT_NE(heldOut.find(original(batch, b)), std::string::npos);
    }
    EXPECT_EQ(*starts.begin(), 0u);
    EXPECT_EQ(*starts.rbegin(), 1500u - 64u) << "the last window ends where the training part ends";
}

TEST(MaskedBytes, PlacesThatAreNotSelectedAreAsTheyWere) {
    // A text of one byte: whatever else stands in a window was put there by the mask.
    MaskedBytes task(small(), 1, repeated("a", 4000));
    Batch batch;
    for (int i = 0; i < 100; ++i) {
        task.nextBatch(batch);
        const std::set<std::int64_t> selected(batch.selected.begin(), batch.selected.end());
        for (std::size_t place = 0; place < batch.tokens.size(); ++place)
            if (!selected.contains(static_cast<std::int64_t>(place))) {
                ASSERT_EQ(batch.tokens[place], 'a');
            }
    }
}

TEST(MaskedBytes, FollowsTheEightyTenTenRule) {
    MaskedBytes task(small(), 1, repeated("a", 4000));
    double masked = 0, kept = 0, replaced = 0, total = 0;
    std::vector<double> places(64), bytes(256);
    Batch batch;
    for (int i = 0; i < 5000; ++i) {
        task.nextBatch(batch);
        for (const std::int64_t place : batch.selected) {
            const std::int32_t token = batch.tokens[static_cast<std::size_t>(place)];
            ++total;
            ++places[static_cast<std::size_t>(place % 64)];
            if (token == MaskedBytes::kMaskToken)
                ++masked;
            else if (token == 'a')
                ++kept;
            else
                ++replaced;
            if (token < 256) ++bytes[static_cast<std::size_t>(token)];
        }
    }
    // Five standard deviations of a binomial: one run in a million would be outside.
    const auto expectShare = [](double count, double trials, double share, const char* what) {
        EXPECT_NEAR(count / trials, share, 5 * std::sqrt(share * (1 - share) / trials)) << what;
    };
    expectShare(masked, total, 0.8, "masked");
    expectShare(kept, total, 0.1 + 0.1 / 256, "kept, or replaced by itself");
    expectShare(replaced, total, 0.1 * 255 / 256, "replaced");
    for (const double count : places) expectShare(count, total, 1.0 / 64, "every place alike");
    for (std::size_t b = 0; b < 256; ++b)
        if (b != 'a') expectShare(bytes[b], total, 0.1 / 256, "every byte alike");
}

TEST(MaskedBytes, OneSeedGivesOneSequenceOfBatches) {
    MaskedBytes a(small(), 1, numbered(2000)), b(small(), 1, numbered(2000)), other(small(), 2, numbered(2000));
    Batch fromA, fromB, fromOther;
    for (int i = 0; i < 20; ++i) {
        a.nextBatch(fromA);
        b.nextBatch(fromB);
        other.nextBatch(fromOther);
        EXPECT_TRUE(same(fromA, fromB));
        EXPECT_FALSE(same(fromA, fromOther));
    }
}

TEST(MaskedBytes, TheCursorBringsTheSameBatchesBack) {
    MaskedBytes task(small(), 1, numbered(2000));
    Batch batch;
    for (int i = 0; i < 7; ++i) task.nextBatch(batch);
    const Random::State cursor = task.cursor();
    std::vector<Batch> expected(5);
    for (Batch& next : expected) task.nextBatch(next);
    MaskedBytes fresh(small(), 1, numbered(2000));
    fresh.setCursor(cursor);
    for (const Batch& next : expected) {
        fresh.nextBatch(batch);
        EXPECT_TRUE(same(batch, next));
    }
}

TEST(MaskedBytes, ValidationBatchesDependOnSeedAndNumberOnly) {
    MaskedBytes a(small(), 1, numbered(2000)), b(small(), 1, numbered(2000)), other(small(), 2, numbered(2000));
    Batch first, second;
    for (int i = 0; i < 10; ++i) a.nextBatch(first);
    const Random::State cursor = a.cursor();
    a.validationBatch(3, first);
    b.validationBatch(3, second);
    EXPECT_TRUE(same(first, second));
    EXPECT_EQ(a.cursor(), cursor) << "validation leaves the training stream alone";
    a.validationBatch(4, second);
    EXPECT_FALSE(same(first, second));
    other.validationBatch(3, second);
    EXPECT_FALSE(same(first, second));
    EXPECT_THAT(errorOf([&] { a.validationBatch(-1, second); }), HasSubstr("0 or more, but is -1"));
}

TEST(MaskedBytes, ALengthThatDoesNotFitIsRefusedWithBothNumbers) {
    MaskedBytesOptions options = small();
    options.length = 501;
    EXPECT_EQ(
        errorOf([&] { MaskedBytes(options, 1, numbered(1000)); }),
        "[masked_bytes] task.length = 501 must fit into the held-out part of \"numbered\", but that has 500 bytes "
        "(25 % of 2000); give a smaller length, a larger task.validation_fraction or more text");
    options.length = 500;
    EXPECT_EQ(errorOf([&] { MaskedBytes(options, 1, numbered(1000)); }), "no error");
    options.length = 1501;
    EXPECT_THAT(
        errorOf([&] { MaskedBytes(options, 1, numbered(1000)); }),
        HasSubstr("task.length = 1501 must fit into the training part of \"numbered\", but that has 1500 bytes"));
    options.length = 4;
    EXPECT_THAT(errorOf([&] { MaskedBytes(options, 1, repeated("abc", 3)); }), HasSubstr("training part"));
}

TEST(ByteEntropies, AreWhatTheoryGives) {
    // Two bytes, evenly: one bit, but for the one that is added to each count.
    const TextSource even = repeated("ab", 1 << 20);
    const ByteEntropies entropies = byteEntropies(even.text, even.text);
    EXPECT_NEAR(entropies.unigram, 1.0, 1e-3);
    // At a shown byte of the text, which is right with odds ½·½ : ½·½·1/256 + ½·½·1/256 …: by hand below.
    const double kept = 0.5, drawn = 0.5 / 256;
    const double inText = kept + 2 * drawn;        // a shown byte is one of the two
    const double right = (kept + drawn) / inText;  // and then it is the right one
    const double entropy = -right * std::log2(right) - (1 - right) * std::log2(1 - right);
    const double shown = inText * entropy + (1 - inText) * 1.0;  // a byte that the text has not says nothing
    EXPECT_NEAR(entropies.ownToken, 0.8 + 0.2 * shown, 1e-3);
}

TEST(ByteEntropies, AByteThatTrainingNeverSawIsNotImpossible) {
    const ByteEntropies entropies = byteEntropies(std::string(1000, 'a'), "b");
    EXPECT_NEAR(entropies.unigram, std::log2(1256.0), 1e-9);
    EXPECT_TRUE(std::isfinite(entropies.ownToken));
}

TEST(MaskedBytes, TokensCanBeRead) {
    const MaskedBytes task(small(), 1, numbered(2000));
    EXPECT_EQ(task.tokenText('a'), "a");
    EXPECT_EQ(task.tokenText('~'), "~");
    EXPECT_EQ(task.tokenText(' '), "␣");
    EXPECT_EQ(task.tokenText('\n'), "⏎");
    EXPECT_EQ(task.tokenText(0x7F), "\\x7f");
    EXPECT_EQ(task.tokenText(0xE9), "\\xe9");
    EXPECT_EQ(task.tokenText(0), "\\x00");
    EXPECT_EQ(task.tokenText(256), "[MASK]");
    EXPECT_THROW(task.tokenText(257), Error);
    EXPECT_THROW(task.tokenText(-1), Error);
}

TEST(MaskedBytes, IsRegistered) {
    TempFolder folder;
    const std::string file = folder.write("a.txt", repeated("In the beginning ", 4000).text);
    const TaskInfo& info = findTask("masked_bytes");
    const auto task = info.create({{"corpus", file}, {"length", std::int64_t{32}}}, 1);
    EXPECT_EQ(task->length(), 32);
    EXPECT_EQ(task->batch(), 8);
    EXPECT_EQ(task->vocabulary(), 257);
    EXPECT_EQ(task->description(), file + ": 4.0 kB, 1 line, 5 % held out");
    EXPECT_THAT(errorOf([&] {
                    info.create({{"corpse", file}}, 1);
                }),
                HasSubstr("corpse: unknown key; did you mean \"corpus\"?"));
    EXPECT_THAT(errorOf([&] {
                    info.create({{"mask_fraction", 0.95}}, 1);
                }),
                HasSubstr("mask_fraction: expected a number from 0.001 to 0.9"));
    EXPECT_THAT(errorOf([] { findTask("masked_byte"); }), HasSubstr("did you mean \"masked_bytes\"?"));
}

TEST(MaskedBytes, BaselinesOfTheBibleAreTheOraclesOfTheReadme) {
    if (std::system("command -v bible > /dev/null") != 0) GTEST_SKIP() << "the program \"bible\" is not installed";
    const MaskedBytes task(MaskedBytesOptions{}, 1);
    EXPECT_EQ(task.description(), "bible-kjv: 4.4 MB, 31 102 lines, 5 % held out");
    EXPECT_EQ(task.heldOutText().size(), 220221u);
    const auto baselines = task.baselines();
    ASSERT_EQ(baselines.size(), 2u);
    EXPECT_EQ(baselines[0].metric, "validation_bits_per_byte");
    EXPECT_NEAR(baselines[0].value, 4.518449, 1e-5);
    EXPECT_NEAR(baselines[1].value, 4.122496, 1e-5);
}

TEST(MaskedBytes, DigestIsOfTheTextAlone) {
    const std::string digest = MaskedBytes(small(), 1, numbered(2000)).dataDigest();
    EXPECT_EQ(digest.size(), 16U);
    TextSource renamed = numbered(2000);
    renamed.name = "elsewhere";
    MaskedBytesOptions options = small();
    options.batch = 1;
    EXPECT_EQ(MaskedBytes(options, 2, std::move(renamed)).dataDigest(), digest);
    std::set<std::string> digests{digest, MaskedBytes(small(), 1, numbered(2001)).dataDigest()};
    for (const std::size_t at : {0, 1, 7, 1999, 3998, 3999}) {
        TextSource changed = numbered(2000);
        changed.text[at] ^= 1;
        digests.insert(MaskedBytes(small(), 1, std::move(changed)).dataDigest());
    }
    EXPECT_EQ(digests.size(), 8U);
}

}  // namespace
}  // namespace linscope

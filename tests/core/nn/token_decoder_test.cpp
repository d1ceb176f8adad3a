#include "core/nn/token_decoder.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <memory>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "tests/support/small_experiment.h"

namespace linscope {
namespace {

constexpr std::int64_t kVocabulary = 11, kLength = 24;

/// A decoder with random weights large enough that attention and position matter.
struct Model {
    explicit Model(const char* position, const char* mechanism = "full", std::uint64_t seed = 1, std::int64_t taps = 0)
        : options(optionsWith(position, taps)), parameters(seed) {
        const AttentionSizes sizes{.layers = 2,
                                   .heads = 2,
                                   .headWidth = 8,
                                   .length = kLength,
                                   .causal = true,
                                   .position = positionOf(position)};
        const MechanismInfo& info = findMechanism(mechanism);
        attention = info.create(checkedValues(info.options, info.variants(sizes).front(), "test"), sizes, parameters);
        transformer = std::make_unique<Transformer>(
            options, ModelShape{.vocabulary = kVocabulary, .outputs = kVocabulary, .length = kLength}, *attention,
            parameters);
        Random random(seed, "test");
        for (Parameter& parameter : parameters.all())
            if (!parameter.buffer)
                for (float& x : parameter.value.span<float>()) x += static_cast<float>(0.3 * random.normal());
    }
    static ModelOptions optionsWith(const char* position, std::int64_t taps) {
        ModelOptions options;
        options.kind = "decoder";
        options.width = 16;
        options.heads = 2;
        options.position = position;
        options.shortConvolution = taps;
        return options;
    }
    TokenDecoder decoder(std::optional<std::int64_t> longest = {}) const { return {*transformer, longest}; }

    /// Logits [T,V] of all places at once.
    std::vector<float> forward(std::span<const std::int32_t> tokens) const {
        Arena arena;
        Tape tape(arena, false);
        std::vector<std::int64_t> all(tokens.size());
        for (std::size_t t = 0; t < all.size(); ++t) all[t] = static_cast<std::int64_t>(t);
        const auto length = static_cast<std::int64_t>(tokens.size());
        const auto logits =
            transformer->forward(tape, {.batch = 1, .length = length, .tokens = tokens, .selected = all});
        const auto numbers = logits.value().span<float>();
        return {numbers.begin(), numbers.end()};
    }

    ModelOptions options;
    ParameterStore parameters;
    std::unique_ptr<Mechanism> attention;
    std::unique_ptr<Transformer> transformer;
};

std::vector<std::int32_t> someTokens(std::int64_t count) {
    Random random(5, "tokens");
    std::vector<std::int32_t> tokens;
    for (std::int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::int32_t>(random.below(kVocabulary)));
    return tokens;
}

std::vector<float> logitsOf(const TokenDecoder& decoder) {
    return {decoder.logits().begin(), decoder.logits().end()};
}

/// Models without a short convolution, and with one.
void forEveryCausalMechanism(const std::function<void(const Model&)>& function) {
    for (const MechanismInfo& info : mechanisms())
        for (const std::int64_t taps : {0, 3}) {
            if (!info.traits.causal) continue;
            SCOPED_TRACE(fmt::format("{}, {} taps", info.name, taps));
            function(Model("none", info.name.data(), 1, taps));
        }
}

TEST(TokenDecoder, GivesTheLogitsOfTheWholeForwardPassForEveryPositionScheme) {
    for (const char* position : kPositionNames) {
        SCOPED_TRACE(position);
        const Model model(position);
        const auto tokens = someTokens(kLength);
        const auto expected = model.forward(tokens);
        TokenDecoder decoder = model.decoder();
        for (std::size_t t = 0; t < tokens.size(); ++t) {
            decoder.step(tokens[t]);
            for (std::size_t v = 0; v < kVocabulary; ++v)
                // Sums of 64 products of size one in single precision, in another order.
                ASSERT_NEAR(decoder.logits()[v], expected[t * kVocabulary + v], 2e-4) << "token " << t;
        }
    }
}

TEST(TokenDecoder, GivesTheLogitsOfTheWholeForwardPassForEveryCausalMechanism) {
    forEveryCausalMechanism([](const Model& model) {
        const auto tokens = someTokens(kLength);
        const auto expected = model.forward(tokens);
        TokenDecoder decoder = model.decoder();
        for (const std::int32_t token : tokens) decoder.step(token);
        for (std::size_t v = 0; v < kVocabulary; ++v)
            EXPECT_NEAR(decoder.logits()[v], expected[(kLength - 1) * kVocabulary + v], 1e-3);
    });
}

TEST(TokenDecoder, GivesTheLogitsOfTheWholeForwardPassWithAShortConvolution) {
    for (const std::int64_t taps : {2, 4, 16})
        for (const char* position : {"learned", "rotary"}) {
            SCOPED_TRACE(fmt::format("{} taps, {}", taps, position));
            const Model model(position, "full", 1, taps);
            const auto tokens = someTokens(kLength);
            const auto expected = model.forward(tokens), without = Model(position).forward(tokens);
            TokenDecoder decoder = model.decoder();
            double difference = 0;
            for (std::size_t t = 0; t < tokens.size(); ++t) {
                decoder.step(tokens[t]);
                for (std::size_t v = 0; v < kVocabulary; ++v) {
                    const std::size_t at = t * kVocabulary + v;
                    ASSERT_NEAR(decoder.logits()[v], expected[at], 5e-4) << "token " << t;
                    difference = std::max<double>(difference, std::abs(expected[at] - without[at]));
                }
            }
            EXPECT_GT(difference, 0.1) << "the convolution must matter";
        }
}

/// How far the layers' numbers and the logits are from one another at most, the numbers beside the greatest of a layer.
void expectNear(const TokenDecoder& found, const TokenDecoder& expected, double bound) {
    EXPECT_EQ(found.place(), expected.place());
    const TokenDecoder::State a = found.save(), b = expected.save();
    for (std::size_t v = 0; v < kVocabulary; ++v) EXPECT_NEAR(a.logits[v], b.logits[v], bound);
    for (std::size_t i = 0; i < a.layers.size(); ++i) {
        ASSERT_EQ(a.layers[i].size(), b.layers[i].size());
        float greatest = 1;
        for (const float x : b.layers[i]) greatest = std::max(greatest, std::abs(x));
        for (std::size_t n = 0; n < a.layers[i].size(); ++n)
            ASSERT_NEAR(a.layers[i][n], b.layers[i][n], bound * static_cast<double>(greatest)) << "layer " << i;
    }
}

// Shorter than a block, some and several blocks and a part of one.
TEST(TokenDecoder, ReadsATextAsItsStepsWithEveryCausalMechanism) {
    forEveryCausalMechanism([](const Model& model) {
        const auto tokens = someTokens(2 * TokenDecoder::kBlock + 76);
        TokenDecoder read = model.decoder(), stepped = model.decoder();
        std::size_t at = 0;
        for (const std::size_t end : {std::size_t{2}, std::size_t{20}, std::size_t{600}}) {
            read.read(std::span(tokens).subspan(at, end - at));
            for (; at < end; ++at) stepped.step(tokens[at]);
            expectNear(read, stepped, 1e-3);
        }
        read.read(std::span(tokens).subspan(at));
        const auto expected = model.forward(tokens);
        for (std::size_t v = 0; v < kVocabulary; ++v)
            EXPECT_NEAR(read.logits()[v], expected[(tokens.size() - 1) * kVocabulary + v], 1e-3);
    });
}

TEST(TokenDecoder, ReadsATextAsItsStepsWithEveryPositionScheme) {
    for (const char* position : kPositionNames)
        for (const char* mechanism : {"full", "window", "linear"}) {
            if (positionFit(findMechanism(mechanism), positionOf(position), true).fit == Fit::Refused) continue;
            SCOPED_TRACE(fmt::format("{}, {}", position, mechanism));
            const Model model(position, mechanism, 1, 4);
            const bool ends = model.transformer->placesEnd();
            const auto tokens = someTokens(ends ? kLength : TokenDecoder::kBlock + 40);
            TokenDecoder whole = model.decoder(), parts = model.decoder(), stepped = model.decoder();
            std::vector<std::size_t> told;
            whole.read(tokens, [&](std::size_t taken) { told.push_back(taken); });
            EXPECT_EQ(told, ends ? std::vector<std::size_t>{kLength}
                                 : (std::vector<std::size_t>{TokenDecoder::kBlock, tokens.size()}));
            parts.read(std::span(tokens).first(7));
            parts.read(std::span(tokens).subspan(7));
            for (const std::int32_t token : tokens) stepped.step(token);
            expectNear(whole, stepped, 2e-4);
            expectNear(parts, stepped, 2e-4);
        }
}

TEST(TokenDecoder, ATextInPartsOfWholeBlocksIsTheSameToTheBit) {
    for (const MechanismInfo& info : mechanisms()) {
        if (!info.traits.causal) continue;
        SCOPED_TRACE(info.name);
        const Model model("none", info.name.data(), 1, 3);
        const auto tokens = someTokens(TokenDecoder::kBlock + 50);
        TokenDecoder whole = model.decoder(), first = model.decoder(), second = model.decoder();
        whole.read(tokens);
        first.read(std::span(tokens).first(TokenDecoder::kBlock));
        second.load(first.save());
        second.read(std::span(tokens).subspan(TokenDecoder::kBlock));
        EXPECT_EQ(logitsOf(second), logitsOf(whole));
        EXPECT_EQ(second.save().layers, whole.save().layers);
    }
}

TEST(TokenDecoder, ReadsNothingWhereATextIsTooLong) {
    const Model learned("learned");
    const auto tokens = someTokens(kLength + 1);
    TokenDecoder decoder = learned.decoder(), limited = learned.decoder(3);
    EXPECT_THROW(decoder.read(tokens), Error);
    EXPECT_EQ(decoder.place(), 0);
    decoder.read(std::span(tokens).first(kLength));
    EXPECT_EQ(decoder.place(), kLength);
    EXPECT_THROW(limited.read(std::span(tokens).first(4)), Error);
    EXPECT_EQ(limited.place(), 0);
    limited.read({});
    EXPECT_TRUE(limited.logits().empty());
}

TEST(TokenDecoder, ReadsALongTextInTheMemoryOfABlock) {
    for (const char* mechanism : {"full", "window", "linear", "linformer_causal"}) {
        SCOPED_TRACE(mechanism);
        const Model model("none", mechanism, 1, 3);
        const auto tokens = someTokens(2 * TokenDecoder::kBlock);
        TokenDecoder decoder = model.decoder();
        decoder.read(tokens);
        const std::int64_t before = decoder.heapAllocations();
        decoder.read(tokens);
        decoder.read(tokens);
        EXPECT_EQ(decoder.heapAllocations(), before);
    }
}

TEST(TokenDecoder, AShortConvolutionRemembersItsInputsAndNoMore) {
    const Model plain("none", "window"), model("none", "window", 1, 4);
    TokenDecoder before = plain.decoder(), decoder = model.decoder();
    before.step(1);
    decoder.step(1);
    // Two layers, three tokens of sixteen channels, four bytes each.
    EXPECT_EQ(decoder.stateBytes() - before.stateBytes(), 2 * 3 * 16 * 4);
    TokenDecoder::State cut = decoder.save();
    cut.layers.front().resize(3 * 16 - 1);
    EXPECT_THROW(decoder.load(cut), Error);
}

TEST(TokenDecoder, PlacesBeyondTheLengthAreThoseOfALongerModelExceptForLearnedOnes) {
    const auto tokens = someTokens(2 * kLength);
    for (const char* position : {"none", "sinusoidal", "rotary", "alibi", "relative_bias"}) {
        SCOPED_TRACE(position);
        const Model model(position);
        TokenDecoder decoder = model.decoder();
        for (const std::int32_t token : tokens) decoder.step(token);
        EXPECT_EQ(decoder.place(), 2 * kLength);
        if (std::string_view(position) == "sinusoidal") continue;  // forward() has a table of T rows
        const auto expected = model.forward(tokens);
        for (std::size_t v = 0; v < kVocabulary; ++v)
            EXPECT_NEAR(decoder.logits()[v], expected[(tokens.size() - 1) * kVocabulary + v], 2e-4);
    }
    const Model learned("learned");
    TokenDecoder decoder = learned.decoder();
    for (std::int64_t t = 0; t < kLength; ++t) decoder.step(0);
    try {
        decoder.step(0);
        FAIL() << "a place that was never trained";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("learned positions end after 24 tokens, but token 25"),
                  std::string::npos)
            << error.what();
    }
    TokenDecoder limited = learned.decoder(3);
    for (int t = 0; t < 3; ++t) limited.step(0);
    EXPECT_THROW(limited.step(0), Error);
}

TEST(TokenDecoder, TakesNothingFromTheHeapAfterItsFirstTokens) {
    const Model model("rotary");
    TokenDecoder decoder = model.decoder();
    decoder.step(1);
    decoder.step(2);
    const std::int64_t before = decoder.heapAllocations();
    for (int i = 0; i < 200; ++i) decoder.step(3);
    EXPECT_EQ(decoder.heapAllocations(), before);
}

TEST(TokenDecoder, ASavedStateGoesOnBitForBit) {
    const test::TemporaryFolder folder;
    for (const MechanismInfo& info : mechanisms()) {
        if (!info.traits.causal) continue;
        SCOPED_TRACE(info.name);
        const Model model("none", info.name.data(), 1, 3);
        const std::string name = modelFingerprint(model.parameters);
        const auto tokens = someTokens(kLength);
        TokenDecoder straight = model.decoder(), first = model.decoder(), second = model.decoder();
        for (const std::int32_t token : tokens) straight.step(token);
        const std::size_t half = tokens.size() / 2;
        for (std::size_t t = 0; t < half; ++t) first.step(tokens[t]);
        const auto path = folder.path() / "state.safetensors";
        writeDecoding(path, {.model = name, .state = first.save(), .random = {1, 2, 3, ~std::uint64_t{0}}});
        const SavedDecoding saved = readDecoding(path, name);
        EXPECT_EQ(saved.random, (Random::State{1, 2, 3, ~std::uint64_t{0}}));
        second.load(saved.state);
        EXPECT_EQ(second.place(), static_cast<std::int64_t>(half));
        EXPECT_EQ(logitsOf(second), logitsOf(first));
        for (std::size_t t = half; t < tokens.size(); ++t) second.step(tokens[t]);
        EXPECT_EQ(logitsOf(second), logitsOf(straight));
        EXPECT_EQ(second.stateBytes(), straight.stateBytes());
    }
}

TEST(TokenDecoder, TenTurnsWithASavedStateAreOneLongRun) {
    const test::TemporaryFolder folder;
    const Model model("rotary");
    const std::string name = modelFingerprint(model.parameters);
    const auto path = folder.path() / "state.safetensors";
    const auto write = [](TokenDecoder& decoder, Random& random, std::int64_t count, std::vector<std::int32_t>& out) {
        for (std::int64_t i = 0; i < count; ++i) {
            out.push_back(drawToken(decoder.logits(), {}, random));
            decoder.step(out.back());
        }
    };
    std::vector<std::int32_t> expected, turns;
    TokenDecoder straight = model.decoder();
    straight.step(1);
    Random random(1, "draws");
    write(straight, random, 100, expected);

    TokenDecoder begin = model.decoder();
    begin.step(1);
    writeDecoding(path, {.model = name, .state = begin.save(), .random = Random(1, "draws").state()});
    for (int turn = 0; turn < 10; ++turn) {
        const SavedDecoding saved = readDecoding(path, name);
        TokenDecoder decoder = model.decoder();
        decoder.load(saved.state);
        Random own(saved.random);
        write(decoder, own, 10, turns);
        writeDecoding(path, {.model = name, .state = decoder.save(), .random = own.state()});
    }
    EXPECT_EQ(turns, expected);
}

TEST(SavedDecoding, AnotherModelAndAnotherFileAreRefused) {
    const test::TemporaryFolder folder;
    const Model model("none"), other("none", "full", 2);
    const std::string name = modelFingerprint(model.parameters);
    EXPECT_NE(name, modelFingerprint(other.parameters));
    TokenDecoder decoder = model.decoder();
    decoder.step(1);
    const auto path = folder.path() / "state.safetensors";
    writeDecoding(path, {.model = name, .state = decoder.save()});
    const auto errorOf = [&](const std::filesystem::path& file, const std::string& owner) -> std::string {
        try {
            readDecoding(file, owner);
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    };
    EXPECT_EQ(errorOf(path, name), "no error");
    EXPECT_NE(errorOf(path, modelFingerprint(other.parameters)).find("belongs to another"), std::string::npos);
    EXPECT_NE(errorOf(folder.path() / "absent", name), "no error");
    std::ofstream(folder.path() / "text") << "not a state at all";
    EXPECT_NE(errorOf(folder.path() / "text", name), "no error");
    TokenDecoder::State broken = decoder.save();
    broken.layers.pop_back();
    EXPECT_THROW(decoder.load(broken), Error);
}

TEST(DrawToken, FollowsTemperatureAndTopK) {
    const std::vector<float> logits{0, 2, 1, -1};
    Random random(1, "draw");
    EXPECT_EQ(drawToken(logits, {.temperature = 0}, random), 1);
    std::vector<double> counts(4);
    constexpr int kDraws = 40000;
    for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(drawToken(logits, {}, random))];
    const double sum = 1 + std::exp(2.0) + std::exp(1.0) + std::exp(-1.0);
    for (std::size_t i = 0; i < 4; ++i) {
        const double p = std::exp(static_cast<double>(logits[i])) / sum;
        EXPECT_NEAR(counts[i] / kDraws, p, 5 * std::sqrt(p * (1 - p) / kDraws));
    }
    for (int i = 0; i < 200; ++i) {
        const auto token = drawToken(logits, {.topK = 2}, random);
        EXPECT_TRUE(token == 1 || token == 2);
    }
    EXPECT_THROW(drawToken(std::vector<float>{0, NAN}, {}, random), Error);
    EXPECT_THROW(drawToken({}, {}, random), Error);
}

}  // namespace
}  // namespace linscope

#include "core/nn/model_proofs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/autograd/tape.h"
#include "core/base/random.h"
#include "core/nn/token_decoder.h"
#include "core/nn/transformer.h"

namespace linscope {
namespace {

constexpr std::int64_t kVocabulary = 11, kLength = 24, kHeads = 2, kHeadWidth = 8, kLayers = 2;
// RMS of the difference over RMS of the logits, both in single precision with sums in another order: rounding stays
// below 1e-6; a token that is missed changes logits by a tenth or more.
constexpr double kDecodingBound = 1e-5;

/// A small model with weights large enough that every part matters.
struct Model {
    Model(const MechanismInfo& info, const OptionValues& values, const AttentionSizes& sizes, std::int64_t taps)
        : parameters(1) {
        ModelOptions options;
        options.kind = sizes.causal ? "decoder" : "encoder";
        options.layers = kLayers;
        options.width = kHeads * kHeadWidth;
        options.heads = kHeads;
        options.position = "none";
        options.shortConvolution = taps;
        attention = info.create(checkedValues(info.options, values, info.name), sizes, parameters);
        transformer = std::make_unique<Transformer>(
            options, ModelShape{.vocabulary = kVocabulary, .outputs = kVocabulary, .length = kLength}, *attention,
            parameters);
        Random random(1, "model proofs");
        for (Parameter& parameter : parameters.all())
            if (!parameter.buffer)
                for (float& x : parameter.value.span<float>()) x += static_cast<float>(0.3 * random.normal());
    }

    /// Logits [N,V] of the places.
    std::vector<float> logits(const std::vector<std::int32_t>& tokens, const std::vector<std::int64_t>& places,
                              const std::vector<float>& keep = {}) const {
        Arena arena(true);
        Tape tape(arena, false);
        const Variable y = transformer->forward(
            tape, {.batch = 1, .length = kLength, .tokens = tokens, .selected = places, .keep = keep});
        const auto numbers = y.value().span<float>();
        return {numbers.begin(), numbers.end()};
    }

    ParameterStore parameters;
    std::unique_ptr<Mechanism> attention;
    std::unique_ptr<Transformer> transformer;
};

double relative(const std::vector<float>& found, const std::vector<float>& expected) {
    double error = 0, size = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double difference = static_cast<double>(found[i]) - expected[i];
        error += difference * difference;
        size += static_cast<double>(expected[i]) * expected[i];
    }
    return std::sqrt(error / size);
}

std::vector<std::int32_t> someTokens() {
    Random random(2, "model proofs");
    std::vector<std::int32_t> tokens(kLength);
    for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(random.below(kVocabulary));
    return tokens;
}

double paddingError(const Model& model) {
    std::vector<std::int32_t> tokens = someTokens(), others = tokens;
    std::vector<float> keep(kLength, 1);
    std::vector<std::int64_t> places;
    for (std::int64_t t = 0; t < kLength; ++t) {
        const auto at = static_cast<std::size_t>(t);
        if (t % 5 == 3 || t >= kLength - 4) {
            keep[at] = 0;
            others[at] = (tokens[at] + 1) % kVocabulary;
        } else {
            places.push_back(t);
        }
    }
    return relative(model.logits(others, places, keep), model.logits(tokens, places, keep));
}

double futureError(const Model& model) {
    const std::int64_t half = kLength / 2;
    std::vector<std::int32_t> tokens = someTokens(), others = tokens;
    std::vector<std::int64_t> places;
    for (std::int64_t t = 0; t < half; ++t) places.push_back(t);
    for (std::size_t t = half; t < others.size(); ++t) others[t] = (tokens[t] + 1) % kVocabulary;
    return relative(model.logits(others, places), model.logits(tokens, places));
}

double decodingError(const Model& model) {
    const std::vector<std::int32_t> tokens = someTokens();
    TokenDecoder first(*model.transformer, {}), second(*model.transformer, {});
    std::vector<std::int64_t> places;
    std::vector<float> found;
    for (std::int64_t t = 0; t < kLength; ++t) {
        if (t == kLength / 2) second.load(first.save());
        TokenDecoder& decoder = t < kLength / 2 ? first : second;
        decoder.step(tokens[static_cast<std::size_t>(t)]);
        found.insert(found.end(), decoder.logits().begin(), decoder.logits().end());
        places.push_back(t);
    }
    return relative(found, model.logits(tokens, places));
}

/// Of the tokens at which a block that is read ends.
double readingError(const Model& model) {
    const std::vector<std::int32_t> tokens = someTokens();
    TokenDecoder first(*model.transformer, {}), second(*model.transformer, {});
    std::vector<std::int64_t> places;
    std::vector<float> found;
    std::int64_t at = 0;
    for (const std::int64_t together : {2, 1, 8, 1, 9, 3}) {
        TokenDecoder& decoder = at < kLength / 2 ? first : second;
        if (at >= kLength / 2 && decoder.place() == 0) decoder.load(first.save());
        decoder.read(std::span(tokens).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(together)));
        at += together;
        found.insert(found.end(), decoder.logits().begin(), decoder.logits().end());
        places.push_back(at - 1);
    }
    return relative(found, model.logits(tokens, places));
}

}  // namespace

std::vector<ProofResult> runModelProofs(const MechanismInfo& info) {
    const auto proof = [&](const char* name, double bound) {
        ProofResult result;
        result.mechanism = info.name;
        result.proof = fmt::format("short convolution: {}", name);
        result.bound = bound;
        return result;
    };
    ProofResult padding = proof("padding", 0), future = proof("the future", 0),
                decoding = proof("token by token f32", kDecodingBound),
                reading = proof("by blocks f32", kDecodingBound);
    const auto add = [](ProofResult& result, double error, const std::string& text) {
        if (++result.cases > 1 && (std::isnan(result.worst) || error <= result.worst)) return;
        result.worst = error;
        result.worstCase = text;
    };
    for (const bool causal : {false, true}) {
        if (causal ? !info.traits.causal : !info.traits.bidirectional) continue;
        const AttentionSizes sizes{
            .layers = kLayers, .heads = kHeads, .headWidth = kHeadWidth, .length = kLength, .causal = causal};
        for (const OptionValues& values : info.variants(sizes))
            for (const std::int64_t taps : {3, causal ? 4 : 5}) {
                const Model model(info, values, sizes, taps);
                const std::string text = fmt::format("{}, {} taps", causal ? "causal" : "bidirectional", taps);
                add(padding, paddingError(model), text);
                if (!causal) continue;
                add(future, futureError(model), text);
                add(decoding, decodingError(model), text);
                add(reading, readingError(model), text);
            }
    }
    std::vector<ProofResult> results{padding};
    if (info.traits.causal) results.insert(results.end(), {future, decoding, reading});
    for (ProofResult& result : results) result.passed = result.cases > 0 && result.worst <= result.bound;
    return results;
}

}  // namespace linscope

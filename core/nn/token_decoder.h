#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/attention/mechanism.h"
#include "core/base/random.h"
#include "core/nn/transformer.h"
#include "core/tensor/arena.h"

namespace linscope {

/// Reads a sequence, token by token or a text at once, and keeps what a decoder remembers of it: every layer's
/// LayerMemory, the place, and the logits of the next token. After the first token it takes nothing from the heap
/// itself; a mechanism with a cache does.
class TokenDecoder {
public:
    /// The model and its mechanism must outlive this. `longest`: tokens that can be taken in at most; empty: any
    /// number.
    TokenDecoder(const Transformer& model, std::optional<std::int64_t> longest);

    /// Takes one more token in. Throws Error beyond longest(), or on a token that the model does not have.
    void step(std::int32_t token);

    /// Tokens that read() takes in together: more would make products no faster, and take memory.
    static constexpr std::int64_t kBlock = 512;
    /// Takes all of them in, by blocks that begin at multiples of kBlock places: what as many steps would give and
    /// leave, up to rounding, in a fraction of their time. `told(n)` is called after each block with how many have been
    /// taken in. Where a text is cut between two calls changes rounding alone, and at multiples of kBlock places
    /// nothing. Throws Error beyond longest(), before any is taken in, or on a token that the model does not have.
    void read(std::span<const std::int32_t> tokens, const std::function<void(std::size_t)>& told = {});

    std::int64_t place() const { return m_place; }  ///< tokens taken in so far
    std::optional<std::int64_t> longest() const { return m_longest; }
    std::span<const float> logits() const { return m_logits; }  // [V] of the next token; empty at place 0
    std::int64_t heapAllocations() const { return m_arena.heapAllocations(); }
    /// Of all layers' states, as they are saved.
    std::int64_t stateBytes() const;

    /// What is needed to go on: numbers of each layer [L], place and logits.
    struct State {
        std::int64_t place = 0;
        std::vector<std::vector<float>> layers;
        std::vector<float> logits;
    };
    State save() const;
    /// Goes on from there, bit for bit as the saved decoder would have. Throws Error when the state cannot be one of
    /// this model.
    void load(const State& state);

private:
    /// Takes tokens in together.
    void take(std::span<const std::int32_t> tokens);

    const Transformer& m_model;
    std::optional<std::int64_t> m_longest;
    std::vector<LayerMemory> m_layers;
    std::vector<float> m_logits;
    std::int64_t m_place = 0;
    Arena m_arena;
};

/// A state in a safetensors file, with the name of what it belongs to and the sampler's random stream.
struct SavedDecoding {
    std::string model;  ///< modelFingerprint() of the decoder's parameters
    TokenDecoder::State state;
    Random::State random{};
};
void writeDecoding(const std::filesystem::path& path, const SavedDecoding& saved);
/// Throws Error: no such file, not a state, or the state of a model with another fingerprint than `model`.
SavedDecoding readDecoding(const std::filesystem::path& path, const std::string& model);

/// 64 bits, in hexadecimal, of the parameters' names, shapes and numbers (FNV-1a): differs after a training step.
std::string modelFingerprint(const ParameterStore& parameters);

/// How the next token is drawn.
struct Sampling {
    double temperature = 1;  ///< logits are divided by it; 0: the likeliest token
    std::int64_t topK = 0;   ///< of so many likeliest tokens; 0: of all
};
/// A token drawn from softmax(logits / temperature). Throws Error when a logit is not finite.
std::int32_t drawToken(std::span<const float> logits, const Sampling& sampling, Random& random);

}  // namespace linscope

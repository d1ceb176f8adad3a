#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/analysis/maps.h"
#include "core/attention/attention_sizes.h"
#include "core/attention/decoding.h"
#include "core/autograd/variable.h"
#include "core/nn/parameters.h"
#include "core/options/options.h"
#include "core/train/snapshot.h"

namespace linscope {

/// What the columns of a mechanism's own map are.
enum class MapAxis { Tokens, Slots, Buckets, Features };
std::string_view mapAxisName(MapAxis axis);

/// What a mechanism can and cannot do; menus, checks and documentation follow these.
struct MechanismTraits {
    bool bidirectional = true;  ///< has a form in which every token may see all others
    bool causal = false;        ///< has a form in which ∂o_i/∂x_j = 0 for j > i
    bool streaming = false;     ///< decodes token by token with constant state
    bool exact = false;         ///< is exact attention itself: nothing to compare
    bool signedMap = false;     ///< its token map has negative entries: no KL, no entropy
    /// Keys are the queries at unit length, and a token sees itself only where it sees no other: so is the exact
    /// attention that it stands for.
    bool sharedKeys = false;
    bool fixedLength = false;  ///< built for one length T; shorter sequences slice its projections
    MapAxis mapAxis = MapAxis::Tokens;
};

/// The arguments of one call. Q, K and V are laid out [B,T,H,D], so that a linear layer's [B,T,C] is
/// one without a copy.
struct AttentionInput {
    int layer = 0;
    Variable q, k, v;                  // [B,T,H,D]
    std::span<const float> keep = {};  // [B,T] 1 for a token, 0 for padding; empty: all are tokens
};

/// One head of one sample, for views: plain numbers, no tape.
struct HeadView {
    std::int64_t length = 0, headWidth = 0;
    std::span<const float> q, k, v;  // [T,D] each
    const Projection* e = nullptr;   // [K,T] or absent
    const Projection* f = nullptr;
};

/// An attention mechanism, one instance for all layers of a lane (projections may be shared by layers).
///
/// forward() is what training runs; naive() is the same function written in plain operations: the
/// specification, with which everything faster is compared for ever.
class Mechanism {
public:
    explicit Mechanism(const AttentionSizes& sizes) : m_sizes(sizes) {}
    virtual ~Mechanism() = default;

    /// o = attention(q, k, v) [B,T,H,D]. Rows of padded queries are whatever they come out as; padded keys
    /// have no influence. Throws Error on shapes that disagree.
    Variable forward(const AttentionInput& input) const;
    Variable naive(const AttentionInput& input) const;

    /// Whether forward() takes q, k and v in bfloat16 on a device with that precision, and gives o in it.
    virtual bool takesBf16() const { return false; }

    /// A fresh state of one layer, for decoding token by token. By default it keeps all q, k and v and
    /// computes the whole sequence again. Throws Error unless sizes().causal.
    std::unique_ptr<DecodingState> startDecoding(int layer) const;

    /// Called before the optimizer step `step` (1 is the first): a mechanism with random features may draw new ones.
    /// Depends on the step and the seed alone. What happened, in a few words; empty: nothing.
    virtual std::string beforeStep(std::int64_t) { return {}; }

    /// The distinct matrices named with addProjection(), as they are now, for probes and snapshots.
    std::vector<Projection> projections() const;
    /// Sets them to what a snapshot holds. Throws Error when one is missing or of another shape.
    void setProjections(std::span<const Projection> projections);

    /// Its parameters and buffers in the store that it was created with, but for those that projections() holds: with
    /// both, another instance computes the same.
    std::vector<ParameterValues> parameterValues(const ParameterStore& store) const;
    /// Sets them to what a snapshot holds. Throws Error when one is missing or of another shape.
    void setParameterValues(ParameterStore& store, std::span<const ParameterValues> parameters) const;

    const AttentionSizes& sizes() const { return m_sizes; }

protected:
    virtual Variable forwardImpl(const AttentionInput& input) const = 0;
    virtual Variable naiveImpl(const AttentionInput& input) const = 0;
    virtual std::unique_ptr<DecodingState> startDecodingImpl(int layer) const;

    /// Called before the matrices are read, for those that are computed from something smaller.
    virtual void refreshProjections() const {}

    /// Names a parameter or buffer [K,T] for probes, snapshots and views; layer or head −1: all of them.
    void addProjection(std::string name, int layer, int head, Parameter* parameter);

    /// The matrices of a part of this mechanism, which must live as long: `prefix` before their names, and in place of
    /// the part's one layer and its heads from 0 on, `layer` and heads from `head` on.
    void adoptProjections(const Mechanism& part, const std::string& prefix, int layer, int head);

private:
    struct NamedProjection {
        std::string name;
        int layer, head;
        Parameter* parameter;
    };
    void check(const AttentionInput& input) const;
    bool keepsBesideProjections(const Parameter& parameter) const;
    AttentionSizes m_sizes;
    std::vector<NamedProjection> m_projections;
    std::vector<const Mechanism*> m_parts;  ///< adopted
};

/// Something that theory says of a mechanism in particular, and how far off it is found.
struct TheoryResult {
    std::string claim;  ///< "a window of all tokens is exact attention"
    double error = 0;
    double bound = 0;
};

struct MechanismInfo {
    std::string_view name;     ///< as in an experiment file, and the folder's name
    std::string_view title;    ///< as in a menu
    std::string_view summary;  ///< one sentence
    std::string_view paper;    ///< where it comes from
    MechanismTraits traits;
    std::vector<OptionSpec> options;

    /// Builds an instance whose parameters live in `parameters` under names that begin with "attention.".
    std::unique_ptr<Mechanism> (*create)(const OptionValues& options, const AttentionSizes& sizes,
                                         ParameterStore& parameters) = nullptr;
    /// Throws Error when the options cannot be had at these sizes (k > length).
    void (*validate)(const OptionValues& options, const AttentionSizes& sizes) = nullptr;
    /// The choices of options that the proofs go through at these sizes: every branch of the code.
    std::vector<OptionValues> (*variants)(const AttentionSizes& sizes) = nullptr;
    /// What becomes of Rotary, Alibi and RelativeBias; null: all three are refused.
    PositionFit (*position)(Position position, bool causal) = nullptr;
    /// The mechanism's own map, rows [rowBegin, rowEnd) of [T, A]; null where it has none but the token map.
    Matrix (*compressedMap)(const HeadView& head, std::int64_t rowBegin, std::int64_t rowEnd) = nullptr;
    /// The token map it implies, same rows of [T, T], where that is known in closed form; null: impliedMap() finds it.
    Matrix (*liftedMap)(const HeadView& head, std::int64_t rowBegin, std::int64_t rowEnd) = nullptr;
    /// Whether forward() has a form for CUDA devices with these options at these sizes; null: it has none.
    bool (*cudaForm)(const OptionValues& options, const AttentionSizes& sizes) = nullptr;
    std::string_view cudaForms = {};  ///< in words, where cudaForm() says no to some: "head widths up to 128"
    /// Whether these options make the token map signed where traits.signedMap does not say so; null: they never do.
    bool (*signedMap)(const OptionValues& options) = nullptr;
    /// Why no token map acts on the values with these options, o = M·v with an M that does not depend on v: a clause
    /// for "it has no token map: …"; null, or empty: there is one.
    std::string (*noTokenMap)(const OptionValues& options, const AttentionSizes& sizes) = nullptr;
    /// What is known of it beyond what all mechanisms are proved to have: limits in which it is another one, variances.
    std::vector<TheoryResult> (*theory)() = nullptr;
};

/// The pairing of a mechanism with a position scheme; schemes of the embedding suit all.
PositionFit positionFit(const MechanismInfo& info, Position position, bool causal);
/// Throws Error with the reason when the mechanism cannot be had at these sizes: no causal or no bidirectional form,
/// a position scheme that it refuses, or options that info.validate() refuses.
void checkAttention(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes);

/// Throws Error `a form for … was required, but …` where the mechanism cannot be had on that device.
void requireForm(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes, Device device);

/// All registered mechanisms, in the order of their CMake lines (`linscope_add_mechanism(NAME)`).
const std::vector<MechanismInfo>& mechanisms();
/// Throws Error with the list of names when there is none of that name.
const MechanismInfo& findMechanism(std::string_view name);

}  // namespace linscope

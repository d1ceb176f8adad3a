#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/analysis/maps.h"
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
    bool causal = false;       ///< has a form in which ∂o_i/∂x_j = 0 for j > i
    bool streaming = false;    ///< decodes token by token with constant state
    bool signedMap = false;    ///< its token map has negative entries: no KL, no entropy
    bool fixedLength = false;  ///< built for one length T; shorter sequences slice its projections
    MapAxis mapAxis = MapAxis::Tokens;
};

/// The sizes that an instance is built for.
struct AttentionSizes {
    std::int64_t layers = 1;
    std::int64_t heads = 1;      // H
    std::int64_t headWidth = 1;  // D
    std::int64_t length = 1;     // T, the longest sequence
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

    /// The distinct projection matrices as they are now, for probes and snapshots; none by default.
    virtual std::vector<Projection> projections() const { return {}; }

    const AttentionSizes& sizes() const { return m_sizes; }

protected:
    virtual Variable forwardImpl(const AttentionInput& input) const = 0;
    virtual Variable naiveImpl(const AttentionInput& input) const = 0;

private:
    void check(const AttentionInput& input) const;
    AttentionSizes m_sizes;
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
    /// The mechanism's own map, rows [rowBegin, rowEnd) of [T, A]; null for "full", whose map is the exact one.
    Matrix (*compressedMap)(const HeadView& head, std::int64_t rowBegin, std::int64_t rowEnd) = nullptr;
    /// The token map it implies, same rows of [T, T]; null where compressedMap is.
    Matrix (*liftedMap)(const HeadView& head, std::int64_t rowBegin, std::int64_t rowEnd) = nullptr;
};

/// All registered mechanisms, in the order of their CMake lines (`linscope_add_mechanism(NAME)`).
const std::vector<MechanismInfo>& mechanisms();
/// Throws Error with the list of names when there is none of that name.
const MechanismInfo& findMechanism(std::string_view name);

}  // namespace linscope

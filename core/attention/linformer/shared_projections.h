#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/attention/attention_sizes.h"
#include "core/nn/parameters.h"

namespace linscope {

/// Which calls use the same projection (Wang et al. 2020, §4 "Parameter sharing between projections").
enum class Sharing {
    None,       ///< E and F for every layer and head
    Headwise,   ///< E and F for every layer, all heads
    KeyValue,   ///< E = F for every layer, all heads
    Layerwise,  ///< one E = F for all layers and heads
};
/// The names in the order of the enumeration, and back.
std::vector<std::string> sharingNames();
Sharing sharingOf(std::string_view name);

/// What makes the matrices E and F [K,S] of a lane.
struct ProjectionPlan {
    Sharing sharing = Sharing::Layerwise;
    std::vector<std::int64_t> slots;  ///< K of each layer; Layerwise: the first
    std::int64_t columns = 1;         ///< S: the places that a slot mixes
    double deviation = 0;             ///< of the entries at first, N(0, deviation²); 0: 1/√K
    bool trained = true;              ///< or drawn once, a buffer
};

/// E and F of every layer and head: parameters "attention.[layerL.][headH.]E" and "…F".
class SharedProjections {
public:
    /// Told of every matrix once: its name, layer and head (−1: all of them), for Mechanism::addProjection().
    using Named = std::function<void(const char* name, int layer, int head, Parameter* matrix)>;
    SharedProjections(const ProjectionPlan& plan, const AttentionSizes& sizes, ParameterStore& parameters,
                      const Named& named);

    /// Those of a layer: one for all heads, or one for each.
    std::span<Parameter* const> e(int layer) const { return ofLayer(m_e, layer); }
    std::span<Parameter* const> f(int layer) const { return ofLayer(m_f, layer); }

private:
    std::span<Parameter* const> ofLayer(const std::vector<Parameter*>& all, int layer) const {
        return std::span(all).subspan(static_cast<std::size_t>(layer) * m_perLayer, m_perLayer);
    }

    std::size_t m_perLayer;
    std::vector<Parameter*> m_e, m_f;  // [layers·m_perLayer]; what is shared is repeated
};

}  // namespace linscope

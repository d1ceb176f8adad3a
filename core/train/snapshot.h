#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/attention/position.h"
#include "core/options/options.h"

namespace linscope {

/// One projection matrix of a lane at one step, as plain data.
struct Projection {
    std::string name;           ///< "E" or "F"
    int layer = 0;              ///< −1: shared by all layers
    int head = 0;               ///< −1: shared by all heads
    std::int64_t slots = 0;     // K
    std::int64_t length = 0;    // T
    std::vector<float> values;  // [K,T] row-major

    /// "E", "E.layer0", "E.layer0.head2": unique in a lane, the name used in run files.
    std::string label() const;
};

/// A parameter or buffer of a lane at one step, as plain data.
struct ParameterValues {
    std::string name;                 ///< in the lane's ParameterStore: "attention.layer0.beta.weight"
    std::vector<std::int64_t> shape;  ///< of at least one axis
    std::vector<float> values;        // [shape] row-major

    std::int64_t elements() const;  ///< that the shape asks for
};

struct LayerSnapshot {
    std::vector<float> q, k, v;  // [S,H,T,D] each
};

/// What views draw: all that is needed to compute any map of one lane at one step, on demand.
struct Snapshot {
    std::int64_t step = 0;
    int lane = 0;
    std::string mechanism;                ///< registered name
    OptionValues options;                 ///< of the mechanism
    bool causal = false;                  ///< of a decoder
    Position position = Position::None;   ///< rotary: q and k are turned already
    std::int64_t samples = 0;             // S
    std::int64_t heads = 0;               // H
    std::int64_t length = 0;              // T
    std::int64_t headWidth = 0;           // D
    std::vector<std::int32_t> tokens;     // [S,T] as the model read them
    std::vector<LayerSnapshot> layers;    // [L]
    std::vector<Projection> projections;  ///< those that differ, however many layers and heads share them
    /// What else the mechanism computes with (Mechanism::parameterValues()); empty also in what runs of older versions
    /// have logged.
    std::vector<ParameterValues> parameters = {};

    /// The projection `name` that `layer` and `head` use; nullptr where the mechanism has none.
    const Projection* projection(std::string_view name, int layer, int head) const;
    /// The parameter of that name; nullptr where there is none.
    const ParameterValues* parameter(std::string_view name) const;
};

}  // namespace linscope

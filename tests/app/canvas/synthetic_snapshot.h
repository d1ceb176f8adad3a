#pragma once

#include <cstdint>
#include <memory>

#include "core/train/snapshot.h"

namespace linscope::test {

struct SyntheticOptions {
    std::int64_t length = 512;    // T
    std::int64_t slots = 64;      // K; 0 makes a lane with full attention
    std::int64_t heads = 4;       // H
    std::int64_t headWidth = 16;  // D
    int layers = 2;
    int lane = 1;
    std::int64_t step = 400;
    bool separateF = true;
};

/// A snapshot as a trained model might give it: heads that look near, behind and at equal bytes, and
/// projections that gather neighbourhoods, over a piece of English text. The same options give the same numbers.
std::shared_ptr<const Snapshot> syntheticSnapshot(const SyntheticOptions& options = {});

}  // namespace linscope::test

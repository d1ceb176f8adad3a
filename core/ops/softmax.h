#pragma once

#include <span>

#include "core/autograd/variable.h"

namespace linscope {

/// softmax over the last axis, x [B,...,S]. Columns whose `keep` [B,S] is 0 get weight 0, whatever x holds
/// there (padded keys); empty: all are kept. A row without a kept column is 0.
Variable softmax(const Variable& x, std::span<const float> keep = {});

}  // namespace linscope

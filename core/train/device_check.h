#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/train/event.h"
#include "core/train/lane.h"

namespace linscope {

/// Recomputes a share of a lane's steps on the processor, in single precision whatever the lane's own, and compares
/// loss and gradient.
///
/// Order in a step: takeOver() before the lane begins, compute() while its device works, compare() when it has
/// finished. The error of a gradient's entry is its difference over the largest entry of its tensor, or over a
/// thousandth of the largest of all where that is more: some tensors' gradients are 0 but for rounding (keys' biases
/// under a softmax).
class DeviceCheck {
public:
    /// `fraction` of the steps, 0 to 1: throws Error otherwise. The twin on the processor takes as much memory as a
    /// lane there.
    DeviceCheck(Experiment experiment, const Task& task, const Lane& lane, double fraction);

    /// Follows from the run's seed and the step alone, so that a resumed run checks the same.
    bool due(std::int64_t step) const;
    void takeOver(const Lane& lane);
    void compute(const Batch& batch);
    DeviceCheckEvent compare(const Lane& lane, const LaneStep& result, std::int64_t step) const;

private:
    std::uint64_t m_seed;
    double m_fraction;
    Lane m_twin;
    LaneStep m_expected;
    double m_milliseconds = 0;
};

}  // namespace linscope

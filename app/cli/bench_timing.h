#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cuda/context.h"

namespace linscope::app {

/// Middle value; of an even number, the mean of the two in the middle. `values` must not be empty.
double median(std::vector<double> values);

/// What "cuda", "cpu" or "auto" stands for on this machine, with products in that precision; null: the processor.
/// Throws Error where "cuda" cannot be had.
std::unique_ptr<DeviceContext> benchDevice(const std::string& device, const std::string& precision);

/// Median ms of `round`: of at least fifteen rounds and a second, but of no more than `mostSeconds` have room for, and
/// of one in any case. It runs twice before, so that its memory is where it stays. On the processor by the wall clock;
/// on `device` by its own, replayed as a graph.
double medianMilliseconds(const std::function<void()>& round, double mostSeconds, DeviceContext* device);

}  // namespace linscope::app

#pragma once

#include <cstdint>

namespace linscope {

/// Bytes that programs can have on this machine: its memory, or what a container was given of it.
std::uint64_t machineMemory();

}  // namespace linscope

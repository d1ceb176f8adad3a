#pragma once

#include <cstdint>

namespace linscope {

/// Bytes that programs can have on this machine: its memory, or what a container was given of it.
std::uint64_t machineMemory();

/// From now on memory that this machine has not, swap included, is refused with std::bad_alloc. Without this the system
/// promises it, and ends the program, or another one, when it is written to. Nothing happens where NVIDIA's driver is,
/// whose libraries map far more than they use, nor where the system knows no such limit.
void refuseMoreThanMachineMemory();

}  // namespace linscope

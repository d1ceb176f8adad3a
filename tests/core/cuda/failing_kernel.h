#pragma once

namespace linscope::test {

/// A kernel that traps: nothing works on the device any more for this process.
void failOnDevice();

}  // namespace linscope::test

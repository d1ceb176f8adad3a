#pragma once

#include <functional>

namespace linscope {

/// Runs `work` and returns when it has ended, so that kill -9 of this program does not end it half-way:
/// `work` runs in a process of its own, with this one's memory and files, while the calling thread waits
/// (what posix_spawn does between its fork and its exec). Nothing is copied; it costs some 50 µs.
/// An exception of `work` is thrown again here. Error when that process itself was ended from outside.
void runUnkilled(const std::function<void()>& work);

}  // namespace linscope

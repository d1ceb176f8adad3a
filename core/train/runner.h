#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "core/train/command.h"
#include "core/train/trainer.h"

namespace linscope {

struct RunnerOptions {
    std::optional<std::int64_t> untilStep;  ///< stop after this step; the experiment's own when empty
    bool startPaused = false;
    std::optional<std::chrono::milliseconds> liveInterval;  ///< how often live snapshots are made; never when empty
};

/// Steps a trainer on the calling thread until it is finished or stopped, obeying commands between
/// two steps: pause is exact, single steps are single. Emits RunStateEvents. When a listener throws
/// StorageFull, the run waits (state Waiting), tries again every second, and still obeys Stop. When one throws
/// FileLost, the run stops in good order, with a checkpoint, and the error is thrown again.
RunState runTrainer(Trainer& trainer, CommandQueue& commands, const RunnerOptions& options = {});

}  // namespace linscope

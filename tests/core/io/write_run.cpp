// Writes a synthetic run, for the tests that read it from other programs or kill it.
//   write_run OUT.h5 STEPS [FLUSH_SECONDS [MILLISECONDS_PER_STEP]]      STEPS 0: for ever

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tests/core/io/synthetic_run.h"

int main(int argc, char** argv) {
    using namespace linscope;
    if (argc < 3) return 2;
    try {
        const std::int64_t steps = std::atoll(argv[2]);
        RunFileOptions options;
        if (argc > 3) options.flushSeconds = std::atof(argv[3]);
        const auto pause = std::chrono::duration<double, std::milli>(argc > 4 ? std::atof(argv[4]) : 0.0);
        const synthetic::Sizes sizes;
        RunFileWriter writer(argv[1], synthetic::experiment(sizes), synthetic::SyntheticTask(sizes.length),
                             synthetic::layouts(sizes), options);
        writer.onEvent(RunStateEvent{0, RunState::Running, ""});
        std::puts("writing");
        std::fflush(stdout);
        for (std::int64_t step = 1; steps == 0 || step <= steps; ++step) {
            synthetic::feed(writer, sizes, step);
            std::this_thread::sleep_for(pause);
        }
        writer.onEvent(RunStateEvent{steps, RunState::Finished, ""});
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

#include "app/cli/short_waits.h"

#include <cstdlib>

#ifdef __linux__
#include <unistd.h>
#endif

namespace linscope::app {

void useShortWaits([[maybe_unused]] char** argv) {
#ifdef __linux__
    if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
    setenv("GOMP_SPINCOUNT", "1000", 0);
    execv("/proc/self/exe", argv);  // returns only when it fails, and then waits are merely long
#endif
}

}  // namespace linscope::app

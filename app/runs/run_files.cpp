#include "app/runs/run_files.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/train/checkpoint_state.h"

namespace linscope::app {

namespace fs = std::filesystem;

namespace {
constexpr int kMostOfASecond = 1000;  // runs with one date
}

FoundCheckpoint findCheckpoint(const fs::path& folder, std::int64_t lastStep) {
    FoundCheckpoint found;
    const auto all = listCheckpoints(folder);
    for (auto checkpoint = all.rbegin(); checkpoint != all.rend(); ++checkpoint) {
        if (checkpoint->first > lastStep) continue;
        try {
            checkSafetensors(checkpoint->second);
            found.file = checkpoint->second;
            break;
        } catch (const Error& error) {
            found.passedOver.emplace_back(error.what());
        }
    }
    return found;
}

std::string datedName(const std::string& stem) {
    return fmt::format("{}-{:%Y%m%d-%H%M%S}.h5", stem, fmt::localtime(std::time(nullptr)));
}

fs::path claimRunFile(const fs::path& wanted, const std::string& mend) {
    fs::path path = wanted;
    for (int number = 1; number <= kMostOfASecond; ++number) {
        if (number > 1)
            path.replace_filename(fmt::format("{}-{}{}", wanted.stem().string(), number, wanted.extension().string()));
        std::error_code ignored;
        if (fs::exists(checkpointFolder(path), ignored)) continue;
        // "x": of two programs that ask at once, one gets the file.
        if (std::FILE* file = std::fopen(path.c_str(), "wbx")) {
            std::fclose(file);
            return path;
        }
        require(errno == EEXIST, "train", "{} must be a file that can be made, but: {}; {}", path.string(),
                std::strerror(errno), mend);
    }
    fail("train", "one of {} names from {} on was expected to be free, but none is; {}", kMostOfASecond,
         wanted.string(), mend);
}

void releaseRunFile(const fs::path& path) {
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored) && fs::is_empty(path, ignored)) fs::remove(path, ignored);
}

}  // namespace linscope::app

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/experiment/experiment.h"

namespace linscope::app {

/// A folder below the system's temporary one that is removed with this object.
class ScratchFolder {
public:
    ScratchFolder();
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path;
};

/// The sizes of one benchmark.
struct BenchShape {
    std::int64_t layers = 2, width = 128, heads = 4;
    std::int64_t length = 512;  // T, tokens
    std::int64_t batch = 8;     // B, sequences
    std::int64_t slots = 64;    // K
};

/// A lane for each of the mechanisms, learning masked bytes of a generated text that is written to `folder`. Linformer
/// has the shape's slots, the others have their own defaults.
Experiment benchExperiment(const BenchShape& shape, const std::filesystem::path& folder,
                           const std::vector<std::string>& mechanisms = {"full", "linformer"});

}  // namespace linscope::app

#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "core/experiment/experiment.h"

namespace linscope::test {

/// A folder of its own that is removed at the end.
class TemporaryFolder {
public:
    TemporaryFolder() {
        static int count = 0;
        m_path = std::filesystem::temp_directory_path() / fmt::format("linscope-test-{}-{}", getpid(), count++);
        std::filesystem::create_directories(m_path);
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path;
};

/// Text with structure to learn: letters that follow from their neighbours.
inline std::filesystem::path writeText(const std::filesystem::path& folder, int lines = 400) {
    const auto path = folder / "text.txt";
    std::ofstream out(path);
    for (int i = 0; i < lines; ++i) out << "And the number " << i * 37 % 101 << " was spoken unto the people;\n";
    return path;
}

/// Two lanes, full and linformer, that step in milliseconds.
inline Experiment smallExperiment(const std::filesystem::path& text) {
    return Experiment::fromToml(fmt::format(R"(
title = "small"
seed = 5
steps = 12
[task]
name = "masked_bytes"
corpus = "{}"
length = 32
batch = 3
[model]
layers = 2
width = 16
heads = 2
[optimizer]
warmup = 3
[probes]
every = 4
snapshot_every = 6
validate_every = 5
validation_batches = 2
[checkpoint]
every = 5
[[lane]]
name = "full"
attention = {{ mechanism = "full" }}
[[lane]]
name = "linformer"
attention = {{ mechanism = "linformer", k = 8, sharing = "headwise" }}
)",
                                            text.string()),
                                "small");
}

}  // namespace linscope::test

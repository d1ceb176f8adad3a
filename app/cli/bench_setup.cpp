#include "app/cli/bench_setup.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "core/base/error.h"
#include "core/base/random.h"

namespace linscope::app {
namespace {

namespace fs = std::filesystem;

/// Words of lower-case letters in lines, like a book as far as the time of a step goes.
void writeText(const fs::path& path, std::int64_t bytes) {
    Random random(1, "bench.text");
    std::string text;
    text.reserve(static_cast<std::size_t>(bytes));
    while (static_cast<std::int64_t>(text.size()) < bytes) {
        for (std::int64_t letters = 1 + random.below(9); letters > 0; --letters)
            text += static_cast<char>('a' + random.below(26));
        text += random.below(12) == 0 ? '\n' : ' ';
    }
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    require(file.good(), "bench", "the text {} was to be written, but that failed", path.string());
}

}  // namespace

ScratchFolder::ScratchFolder() {
    std::string pattern = (fs::temp_directory_path() / "linscope-bench-XXXXXX").string();
    require(mkdtemp(pattern.data()) != nullptr, "bench", "a folder was to be made in {}, but that failed",
            fs::temp_directory_path().string());
    m_path = pattern;
}

ScratchFolder::~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(m_path, ignored);
}

Experiment benchExperiment(const BenchShape& shape, const fs::path& folder,
                           const std::vector<std::string>& mechanisms) {
    const fs::path text = folder / "text.txt";
    writeText(text, std::max<std::int64_t>(1'000'000, 64 * shape.length));
    std::string toml = fmt::format(R"(title = "bench"
seed = 1
steps = 1000000
[task]
name = "masked_bytes"
corpus = '{}'
length = {}
batch = {}
[model]
kind = "encoder"
layers = {}
width = {}
heads = {}
position = "learned"
)",
                                   text.string(), shape.length, shape.batch, shape.layers, shape.width, shape.heads);
    for (const std::string& name : mechanisms)
        toml += name == "linformer"
                    ? fmt::format(
                          "[[lane]]\nname = \"linformer k={0}\"\nattention = {{ mechanism = \"linformer\", k = "
                          "{0}, sharing = \"layerwise\" }}\n",
                          shape.slots)
                    : fmt::format("[[lane]]\nname = \"{0}\"\nattention = {{ mechanism = \"{0}\" }}\n", name);
    return Experiment::fromToml(toml, "bench");
}

}  // namespace linscope::app

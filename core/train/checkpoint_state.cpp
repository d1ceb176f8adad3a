#include "core/train/checkpoint_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace linscope {
namespace {

constexpr std::string_view kFormat = "linscope checkpoint 1";
constexpr const char* kRun = "run";
constexpr const char* kExperiment = "experiment";

struct Part {
    const char* suffix;
    Tensor Parameter::*tensor;
};
constexpr Part kParts[] = {
    {"", &Parameter::value}, {"/first_moment", &Parameter::firstMoment}, {"/second_moment", &Parameter::secondMoment}};

std::string tensorName(int lane, const Parameter& parameter, const Part& part) {
    return fmt::format("lane{}/{}{}", lane, parameter.name, part.suffix);
}

std::string laneKey(int lane, const char* what) {
    return fmt::format("lane{}.{}", lane, what);
}

template <typename Number>
Number parse(const std::string& text, const std::filesystem::path& path) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    require(error == std::errc{} && end == text.data() + text.size(), "checkpoint", "a number in {}, but got \"{}\"",
            path.string(), text);
    return number;
}

}  // namespace

std::string checkpointName(std::int64_t step) {
    return fmt::format("step-{:06}.safetensors", step);
}

std::filesystem::path checkpointFolder(const std::filesystem::path& runFile) {
    return std::filesystem::path(runFile).replace_extension(".checkpoints");
}

std::vector<std::pair<std::int64_t, std::filesystem::path>> listCheckpoints(const std::filesystem::path& folder) {
    std::vector<std::pair<std::int64_t, std::filesystem::path>> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename().string();
        std::int64_t step = 0;
        if (!name.starts_with("step-") || !name.ends_with(".safetensors")) continue;
        const char *begin = name.data() + 5, *end = name.data() + name.size() - 12;
        const auto parsed = std::from_chars(begin, end, step);
        if (parsed.ec == std::errc{} && parsed.ptr == end) found.emplace_back(step, entry.path());
    }
    std::ranges::sort(found);
    return found;
}

void writeCheckpoint(const std::filesystem::path& path, const CheckpointHeader& header,
                     const std::vector<std::unique_ptr<Lane>>& lanes) {
    std::vector<NamedTensor> tensors;
    std::map<std::string, std::string> metadata{
        {"format", std::string(kFormat)},
        {"step", fmt::format("{}", header.step)},
        {"wall_seconds", fmt::format("{}", header.wallSeconds)},
        {kExperiment, header.experimentToml},
        {"lanes", fmt::format("{}", lanes.size())},
    };
    if (!header.run.empty()) metadata[kRun] = header.run;
    for (std::size_t i = 0; i < header.cursor.size(); ++i)
        metadata[fmt::format("cursor.{}", i)] = fmt::format("{}", header.cursor[i]);
    for (const auto& lane : lanes) {
        for (const Parameter& parameter : lane->parameters().all())
            for (const Part& part : kParts)
                tensors.push_back({tensorName(lane->index(), parameter, part), parameter.*part.tensor});
        metadata[laneKey(lane->index(), "learning_rate")] = fmt::format("{}", lane->peakLearningRate());
        metadata[laneKey(lane->index(), "projections_frozen")] = lane->projectionsFrozen() ? "1" : "0";
        metadata[laneKey(lane->index(), "state")] = fmt::format("{}", static_cast<int>(lane->state()));
        metadata[laneKey(lane->index(), "message")] = lane->message();
    }
    writeSafetensors(path, tensors, metadata);
}

CheckpointOrigin readCheckpointOrigin(const std::filesystem::path& path) {
    const std::map<std::string, std::string> metadata = readSafetensorsMetadata(path);
    const auto text = [&](const char* key) {
        const auto found = metadata.find(key);
        return found == metadata.end() ? std::string() : found->second;
    };
    return {text(kRun), text(kExperiment)};
}

CheckpointHeader readCheckpoint(const std::filesystem::path& path, const std::vector<std::unique_ptr<Lane>>& lanes,
                                std::optional<int> only) {
    const SafetensorsFile file(path);
    const auto text = [&](const std::string& key) -> const std::string& {
        const auto found = file.metadata().find(key);
        require(found != file.metadata().end(), "checkpoint", "{} with \"{}\", but it is missing", path.string(), key);
        return found->second;
    };
    require(text("format") == kFormat, "checkpoint", "{} in the format \"{}\", but it is \"{}\"", path.string(),
            kFormat, text("format"));
    const auto count = parse<std::size_t>(text("lanes"), path);
    require(only ? lanes.size() == 1 && static_cast<std::size_t>(*only) < count : lanes.size() == count, "checkpoint",
            "{} with {} lanes, but it has {}", path.string(), only ? *only + 1 : static_cast<int>(lanes.size()), count);
    const auto numberOf = [only](const Lane& lane) { return only.value_or(lane.index()); };
    CheckpointHeader header;
    header.step = parse<std::int64_t>(text("step"), path);
    header.wallSeconds = parse<double>(text("wall_seconds"), path);
    header.experimentToml = text(kExperiment);
    if (const auto run = file.metadata().find(kRun); run != file.metadata().end()) header.run = run->second;
    for (std::size_t i = 0; i < header.cursor.size(); ++i)
        header.cursor[i] = parse<std::uint64_t>(text(fmt::format("cursor.{}", i)), path);

    // All tensors are checked before the first is taken over: a wrong file changes nothing.
    for (const bool copy : {false, true})
        for (const auto& lane : lanes)
            for (Parameter& parameter : lane->parameters().all())
                for (const Part& part : kParts) {
                    const std::string name = tensorName(numberOf(*lane), parameter, part);
                    const Tensor saved = file.tensor(name);
                    const Tensor& own = parameter.*part.tensor;
                    require(saved.shape() == own.shape() && saved.type() == own.type(), "checkpoint",
                            "{} of shape {} in {}, but it is {}; is it a checkpoint of this experiment?", name,
                            own.shape().text(), path.string(), saved.shape().text());
                    if (copy) std::memcpy(own.raw(), saved.raw(), static_cast<std::size_t>(own.bytes()));
                }
    for (const auto& lane : lanes) {
        lane->setPeakLearningRate(parse<double>(text(laneKey(numberOf(*lane), "learning_rate")), path));
        lane->setProjectionsFrozen(text(laneKey(numberOf(*lane), "projections_frozen")) == "1");
        const int state = parse<int>(text(laneKey(numberOf(*lane), "state")), path);
        lane->setState(static_cast<LaneState>(std::clamp(state, 0, 2)), text(laneKey(numberOf(*lane), "message")));
    }
    return header;
}

}  // namespace linscope

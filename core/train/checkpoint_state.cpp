#include "core/train/checkpoint_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/io/checkpoint.h"

namespace linscope {
namespace {

constexpr std::string_view kFormat = "linscope checkpoint 1";
constexpr const char* kRun = "run";
constexpr const char* kExperiment = "experiment";
constexpr const char* kLastGood = "last_good_checkpoint";

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

/// The same within bounds, which NaN is not.
template <typename Number>
Number parseBetween(const std::string& text, Number low, Number high, const std::filesystem::path& path) {
    const auto number = parse<Number>(text, path);
    const bool open = high == std::numeric_limits<Number>::max();
    require(number >= low && number <= high, "checkpoint", "a number {} in {}, but got {}",
            open ? fmt::format("of at least {}", low) : fmt::format("from {} to {}", low, high), path.string(), number);
    return number;
}

}  // namespace

std::string checkpointName(std::int64_t step) {
    return fmt::format("step-{:06}.safetensors", step);
}

std::filesystem::path checkpointFolder(const std::filesystem::path& runFile) {
    std::filesystem::path file = runFile;
    std::error_code error;
    if (std::filesystem::is_symlink(runFile, error))
        if (std::filesystem::path target = std::filesystem::canonical(runFile, error); !error) file = std::move(target);
    return file.replace_extension(".checkpoints");
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
        if (parsed.ec == std::errc{} && parsed.ptr == end && step >= 0) found.emplace_back(step, entry.path());
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
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        // Through one that changes nothing: a device need not be told.
        const Lane& lane = *lanes[i];
        for (const Parameter& parameter : lane.parameters().all())
            for (const Part& part : kParts)
                tensors.push_back({tensorName(lane.index(), parameter, part), parameter.*part.tensor});
        metadata[laneKey(lane.index(), "learning_rate")] = fmt::format("{}", lane.peakLearningRate());
        metadata[laneKey(lane.index(), "projections_frozen")] = lane.projectionsFrozen() ? "1" : "0";
        metadata[laneKey(lane.index(), "state")] = fmt::format("{}", static_cast<int>(lane.state()));
        metadata[laneKey(lane.index(), "message")] = lane.message();
        if (i < header.lastGood.size())
            metadata[laneKey(lane.index(), kLastGood)] = fmt::format("{}", header.lastGood[i]);
    }
    writeSafetensors(path, tensors, metadata);
}

void pruneCheckpoints(const std::filesystem::path& folder, std::int64_t step, std::int64_t keep,
                      std::span<const std::int64_t> always) {
    auto saved = listCheckpoints(folder);
    std::erase_if(saved, [&](const auto& checkpoint) { return checkpoint.first > step; });
    for (std::size_t i = 0; i + static_cast<std::size_t>(std::max<std::int64_t>(keep, 1)) < saved.size(); ++i) {
        const auto& [old, path] = saved[i];
        std::error_code error;
        if (old != 0 && std::ranges::find(always, old) == always.end()) std::filesystem::remove(path, error);
    }
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
    header.step = parseBetween<std::int64_t>(text("step"), 0, std::numeric_limits<std::int64_t>::max(), path);
    header.wallSeconds = parseBetween(text("wall_seconds"), 0.0, std::numeric_limits<double>::max(), path);
    header.experimentToml = text(kExperiment);
    if (const auto run = file.metadata().find(kRun); run != file.metadata().end()) header.run = run->second;
    for (std::size_t i = 0; i < header.cursor.size(); ++i)
        header.cursor[i] = parse<std::uint64_t>(text(fmt::format("cursor.{}", i)), path);

    struct LaneValues {
        double learningRate;
        bool projectionsFrozen;
        LaneState state;
        std::string message;
    };
    std::vector<LaneValues> values;
    for (const auto& lane : lanes) {
        const auto of = [&](const char* what) -> const std::string& { return text(laneKey(numberOf(*lane), what)); };
        values.push_back(
            {parseBetween(of("learning_rate"), 0.0, std::numeric_limits<double>::max(), path),
             parseBetween(of("projections_frozen"), 0, 1, path) == 1,
             static_cast<LaneState>(parseBetween(of("state"), 0, static_cast<int>(kLaneStateNames.size()) - 1, path)),
             of("message")});
        const auto good = file.metadata().find(laneKey(numberOf(*lane), kLastGood));
        header.lastGood.push_back(
            good == file.metadata().end() ? -1 : parseBetween<std::int64_t>(good->second, -1, header.step, path));
    }

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
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        lanes[i]->setPeakLearningRate(values[i].learningRate);
        lanes[i]->setProjectionsFrozen(values[i].projectionsFrozen);
        lanes[i]->setState(values[i].state, std::move(values[i].message));
    }
    return header;
}

}  // namespace linscope

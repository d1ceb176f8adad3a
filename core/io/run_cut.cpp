#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/io/run_objects.h"
#include "core/io/run_rows.h"

namespace linscope {

namespace {

/// A dataset of a group, by its rank.
struct Member {
    std::string name;
    std::size_t rank;
};

template <std::size_t Count>
std::vector<Member> membersOf(const std::array<schema::Column, Count>& columns) {
    std::vector<Member> members;
    for (const schema::Column& column : columns) members.push_back({column.name, 1});
    return members;
}

/// Rows from the first on that all members have and whose step is not later than `step`.
std::uint64_t rowsUpTo(const RunInput& input, const std::string& group, const std::vector<Member>& members,
                       std::int64_t step) {
    const std::string scale = group + "/" + schema::kStep.name;
    std::uint64_t rows = input.extents(scale, 1)[0];
    for (const Member& member : members)
        rows = std::min(rows, input.extents(group + "/" + member.name, static_cast<int>(member.rank))[0]);
    const std::vector<std::int64_t> steps = input.integers(scale, 1, rows);
    const auto later = std::find_if(steps.begin(), steps.end(), [step](std::int64_t found) { return found > step; });
    return static_cast<std::uint64_t>(later - steps.begin());
}

void cutMembers(hid_t file, const RunInput& input, const std::string& group, std::vector<Member> members,
                std::int64_t step) {
    const hsize_t rows = rowsUpTo(input, group, members, step);
    members.insert(members.begin(), {schema::kStep.name, 1});
    for (const Member& member : members) {
        const std::string path = group + "/" + member.name;
        const Hdf5Handle dataset = openDataset(file, path);
        const std::vector<hsize_t> extents = extentsOf(dataset.id(), member.rank, path);
        if (extents[0] != rows) setRows(dataset.id(), extents, rows, path);
    }
}

}  // namespace

void cutRowsAfter(hid_t file, const RunInput& input, const RunShape& shape, std::int64_t step) {
    for (std::size_t index = 0; index < shape.lanes.size(); ++index) {
        const LaneShape& lane = shape.lanes[index];
        cutMembers(file, input, schema::metrics(index), membersOf(schema::kMetrics), step);
        cutMembers(file, input, schema::validation(index), membersOf(schema::kValidation), step);
        cutMembers(file, input, schema::probes(index), membersOf(schema::kProbes), step);
        if (lane.deviceCheck) {
            std::vector<Member> check = membersOf(schema::kDeviceCheck);
            check.push_back({schema::kErrors.name, 2});
            cutMembers(file, input, schema::deviceCheck(index), check, step);
        }
        std::vector<Member> health = membersOf(schema::kHealth);
        health.push_back({schema::kSpectrum.name, 2});
        health.push_back({schema::kAngles.name, 2});
        std::vector<Member> snapshot{{schema::kTokens.name, 3}};
        for (std::int64_t layer = 0; layer < lane.layers; ++layer)
            for (const schema::Column& part : schema::kHeads)
                snapshot.push_back({fmt::format("layers/{}/{}", layer, part.name), 5});
        for (const std::string& label : lane.labels) {
            cutMembers(file, input, schema::projections(index) + "/" + label, health, step);
            snapshot.push_back({"projections/" + label, 3});
        }
        if (lane.attentionParameters)
            for (const auto& [name, extents] : *lane.attentionParameters) snapshot.push_back({"parameters/" + name, 2});
        cutMembers(file, input, schema::snapshots(index), snapshot, step);
    }
    cutMembers(file, input, schema::kEvents, {{"lane", 1}, {"kind", 1}, {"name", 1}, {"old", 1}, {"new", 1}}, step);

    // A lane that stopped after `step` runs again.
    const std::string laneStep = schema::kState + "/lane_step", laneState = schema::kState + "/lane";
    std::vector<std::int64_t> since = input.integers(laneStep, 1, shape.lanes.size());
    const Hdf5Handle states = openDataset(file, laneState), steps = openDataset(file, laneStep);
    const Hdf5Handle messages = openDataset(file, schema::kState + "/lane_message");
    const Hdf5Handle name = hdf5StringType(schema::kNameBytes), text = hdf5StringType(schema::kTextBytes);
    const std::string running = fixedText(kLaneStateNames[0], schema::kNameBytes);
    const std::string nothing = fixedText("", schema::kTextBytes);
    for (std::size_t index = 0; index < since.size(); ++index) {
        if (since[index] <= step) continue;
        const std::vector<hsize_t> extents{since.size()};
        writeRows(states.id(), name.id(), running.data(), extents, index, 1, laneState);
        writeRows(steps.id(), H5T_NATIVE_INT64, &step, extents, index, 1, laneStep);
        writeRows(messages.id(), text.id(), nothing.data(), extents, index, 1, "state/lane_message");
    }
}

}  // namespace linscope

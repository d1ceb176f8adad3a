#include "core/io/run_rows.h"

#include <algorithm>
#include <limits>
#include <variant>

#include "core/base/error.h"
#include "core/io/run_objects.h"
#include "core/io/run_tree.h"

namespace linscope {

namespace {

template <typename Series, std::size_t Count>
void addRow(Series& series, std::int64_t step, const std::array<double, Count>& values) {
    series.columns.resize(Count);
    series.steps.push_back(step);
    for (std::size_t column = 0; column < Count; ++column) series.columns[column].push_back(values[column]);
}

template <typename Series, std::size_t Count>
void appendSeries(hid_t file, const std::string& path, const std::array<schema::Column, Count>& columns,
                  const Series& series) {
    const hsize_t count = series.steps.size();
    if (count == 0) return;
    const Hdf5Handle group = openGroup(file, path);
    const Hdf5Handle step = openDataset(group.id(), schema::kStep.name);
    const std::vector<hsize_t> extents = extentsOf(step.id(), 1, path);
    setRows(step.id(), extents, extents[0] + count, path);
    writeRows(step.id(), H5T_NATIVE_INT64, series.steps.data(), extents, extents[0], count, path);
    for (std::size_t column = 0; column < Count; ++column)
        appendRows(group.id(), columns[column].name, H5T_NATIVE_DOUBLE, series.columns[column].data(), 1, extents[0],
                   count);
    for (const auto& [name, values] :
         {std::pair{schema::kSpectrum.name, &series.spectrum}, std::pair{schema::kAngles.name, &series.angles}})
        if (!values->empty()) appendRows(group.id(), name, H5T_NATIVE_FLOAT, values->data(), 2, extents[0], count);
    if (!series.errors.empty())
        appendRows(group.id(), schema::kErrors.name, H5T_NATIVE_INT64, series.errors.data(), 2, extents[0], count);
}

void writeTextAt(hid_t group, const char* name, std::size_t width, hsize_t row, const std::string& text) {
    const Hdf5Handle dataset = openDataset(group, name);
    const std::string value = fixedText(text, width);
    writeRows(dataset.id(), hdf5StringType(width).id(), value.data(), extentsOf(dataset.id(), 1, name), row, 1, name);
}

void writeIntegerAt(hid_t group, const char* name, hsize_t row, std::int64_t value) {
    const Hdf5Handle dataset = openDataset(group, name);
    writeRows(dataset.id(), H5T_NATIVE_INT64, &value, extentsOf(dataset.id(), 1, name), row, 1, name);
}

}  // namespace

RunRows::RunRows(RunShape shape)
    : m_shape(std::move(shape)), m_lanes(m_shape.lanes.size()), m_laneStateChanged(m_shape.lanes.size(), false) {}

RunRows::LaneRows& RunRows::lane(int index) {
    require(index >= 0 && static_cast<std::size_t>(index) < m_lanes.size(), "run file",
            "an event must be of one of {} lanes, but it is of lane {}", m_lanes.size(), index);
    return m_lanes[static_cast<std::size_t>(index)];
}

void RunRows::add(const Event& event) {
    std::visit([this](const auto& content) { take(content); }, event);
}

void RunRows::take(const StepEvent& event) {
    require(event.lanes.size() == m_lanes.size(), "run file", "a step must have {} lanes, but it has {}",
            m_lanes.size(), event.lanes.size());
    for (std::size_t index = 0; index < m_lanes.size(); ++index) {
        auto values = schema::stepValues(event.lanes[index], event.wallSeconds);
        if (!event.lanes[index].stepped)
            std::fill(values.begin(), values.end() - 1, std::numeric_limits<double>::quiet_NaN());
        addRow(m_lanes[index].metrics, event.step, values);
    }
    m_lastStep = std::max(m_lastStep, event.step);
    m_empty = false;
}

void RunRows::take(const ValidationEvent& event) {
    addRow(lane(event.lane).validation, event.step, schema::validationValues(event));
    m_empty = false;
}

void RunRows::take(const ProbeEvent& event) {
    LaneRows& rows = lane(event.lane);
    const auto& known = m_shape.lanes[static_cast<std::size_t>(event.lane)].projections;
    for (const ProjectionProbe& probe : event.projections) {
        const auto found = known.find(probe.label);
        require(found != known.end(), "run file", "lane {} must have the projection \"{}\", but it was made without",
                event.lane, probe.label);
        const auto slots = static_cast<std::size_t>(found->second.slots);
        require(probe.health.spectrum.size() <= slots && probe.health.principalAngles.size() <= slots, "run file",
                "projection \"{}\" must have at most {} singular values and angles, but has {} and {}", probe.label,
                slots, probe.health.spectrum.size(), probe.health.principalAngles.size());
    }
    addRow(rows.probes, event.step, std::array{event.milliseconds});
    for (const ProjectionProbe& probe : event.projections) {
        Series& series = rows.projections[probe.label];
        addRow(series, event.step, schema::healthValues(probe.health));
        const auto slots = static_cast<std::size_t>(known.at(probe.label).slots);
        for (auto [target, values] : {std::pair{&series.spectrum, &probe.health.spectrum},
                                      std::pair{&series.angles, &probe.health.principalAngles}}) {
            target->insert(target->end(), values->begin(), values->end());
            target->resize(series.steps.size() * slots, std::numeric_limits<float>::quiet_NaN());
        }
    }
    m_empty = false;
}

void RunRows::take(const SnapshotEvent& event) {
    if (!event.store || !event.snapshot) return;
    const Snapshot& snapshot = *event.snapshot;
    LaneRows& rows = lane(snapshot.lane);
    const LaneShape& shape = m_shape.lanes[static_cast<std::size_t>(snapshot.lane)];
    const auto count = [](auto... extents) { return static_cast<std::size_t>((extents * ...)); };
    const std::size_t headValues = count(shape.samples, shape.heads, shape.length, shape.headWidth);
    bool fits = snapshot.samples == shape.samples && snapshot.heads == shape.heads && snapshot.length == shape.length &&
                snapshot.headWidth == shape.headWidth &&
                static_cast<std::int64_t>(snapshot.layers.size()) == shape.layers &&
                snapshot.tokens.size() == count(shape.samples, shape.length) &&
                snapshot.projections.size() == shape.projections.size();
    std::uint64_t bytes = 0;
    for (const LayerSnapshot& layer : snapshot.layers) {
        for (const auto* values : {&layer.q, &layer.k, &layer.v}) fits = fits && values->size() == headValues;
        bytes += 3 * sizeof(float) * headValues;
    }
    for (const Projection& projection : snapshot.projections) {
        const auto known = shape.projections.find(projection.label());
        fits = fits && known != shape.projections.end() &&
               projection.values.size() == count(known->second.slots, known->second.length);
        bytes += sizeof(float) * projection.values.size();
    }
    if (shape.attentionParameters) {
        fits = fits && snapshot.parameters.size() == shape.attentionParameters->size();
        for (const ParameterValues& parameter : snapshot.parameters) {
            const auto known = shape.attentionParameters->find(parameter.name);
            fits = fits && known != shape.attentionParameters->end() && parameter.shape == known->second &&
                   static_cast<std::int64_t>(parameter.values.size()) == parameter.elements();
            bytes += sizeof(float) * parameter.values.size();
        }
    }
    require(fits, "run file",
            "a snapshot of lane {} must have [S,H,T,D] = [{}, {}, {}, {}], {} layers and {} projections as the run was "
            "made with, but it has [{}, {}, {}, {}], {} and {}, or parts of other sizes",
            snapshot.lane, shape.samples, shape.heads, shape.length, shape.headWidth, shape.layers,
            shape.projections.size(), snapshot.samples, snapshot.heads, snapshot.length, snapshot.headWidth,
            snapshot.layers.size(), snapshot.projections.size());
    rows.snapshots.push_back(event.snapshot);
    m_snapshotBytes += bytes;
    m_empty = false;
}

void RunRows::take(const DeviceCheckEvent& event) {
    LaneRows& rows = lane(event.lane);
    if (!m_shape.lanes[static_cast<std::size_t>(event.lane)].deviceCheck) return;  // a file of an older version
    addRow(rows.checks, event.step, schema::checkValues(event));
    rows.checks.errors.insert(rows.checks.errors.end(), event.errors.begin(), event.errors.end());
    m_empty = false;
}

void RunRows::take(const CommandEvent& event) {
    m_log.push_back({event.step, event.lane, schema::kCommandKind, event.name, event.oldValue, event.newValue});
    m_empty = false;
}

void RunRows::take(const LaneStateEvent& event) {
    LaneRows& rows = lane(event.lane);
    m_log.push_back(
        {event.step, event.lane, schema::kLaneStateKind, nameOf(event.state), nameOf(rows.state.state), event.message});
    rows.state = event;
    m_laneStateChanged[static_cast<std::size_t>(event.lane)] = true;
    m_empty = false;
}

void RunRows::take(const CheckpointEvent& event) {
    m_log.push_back({event.step, -1, schema::kCheckpointKind, "checkpoint", "", event.path});
    m_empty = false;
}

void RunRows::take(const RunStateEvent& event) {
    // A run that waits says so every second: the log keeps the first.
    if (m_stateChanged && m_run.state == event.state && m_run.message == event.message) return;
    m_log.push_back({event.step, -1, schema::kRunStateKind, nameOf(event.state), nameOf(m_run.state), event.message});
    m_run = event;
    m_stateChanged = true;
    m_empty = false;
}

void RunRows::clear() {
    for (LaneRows& rows : m_lanes) {
        rows.metrics = rows.validation = rows.probes = rows.checks = {};
        rows.projections.clear();
        rows.snapshots.clear();
    }
    m_log.clear();
    m_laneStateChanged.assign(m_lanes.size(), false);
    m_snapshotBytes = 0;
    m_empty = true;
}

void RunRows::append(hid_t file) const {
    for (std::size_t index = 0; index < m_lanes.size(); ++index) {
        const LaneRows& rows = m_lanes[index];
        appendSeries(file, schema::metrics(index), schema::kMetrics, rows.metrics);
        appendSeries(file, schema::validation(index), schema::kValidation, rows.validation);
        appendSeries(file, schema::probes(index), schema::kProbes, rows.probes);
        appendSeries(file, schema::deviceCheck(index), schema::kDeviceCheck, rows.checks);
        for (const auto& [label, series] : rows.projections)
            appendSeries(file, schema::projections(index) + "/" + label, schema::kHealth, series);
        appendSnapshots(file, index);
    }
    appendLog(file);
    writeState(file);
}

void RunRows::appendSnapshots(hid_t file, std::size_t lane) const {
    const auto& snapshots = m_lanes[lane].snapshots;
    if (snapshots.empty()) return;
    const LaneShape& shape = m_shape.lanes[lane];
    const Hdf5Handle group = openGroup(file, schema::snapshots(lane));
    const Hdf5Handle step = openDataset(group.id(), schema::kStep.name);
    hsize_t row = extentsOf(step.id(), 1, schema::kStep.name)[0];
    for (const auto& snapshot : snapshots) {
        appendRows(group.id(), schema::kStep.name, H5T_NATIVE_INT64, &snapshot->step, 1, row, 1);
        appendRows(group.id(), schema::kTokens.name, H5T_NATIVE_INT32, snapshot->tokens.data(), 3, row, 1);
        for (std::size_t layer = 0; layer < static_cast<std::size_t>(shape.layers); ++layer) {
            const Hdf5Handle layerGroup = openGroup(file, schema::snapshotLayer(lane, layer));
            const LayerSnapshot& content = snapshot->layers[layer];
            const float* values[] = {content.q.data(), content.k.data(), content.v.data()};
            for (std::size_t part = 0; part < schema::kHeads.size(); ++part)
                appendRows(layerGroup.id(), schema::kHeads[part].name, H5T_NATIVE_FLOAT, values[part], 5, row, 1);
        }
        const Hdf5Handle matrices = openGroup(file, schema::snapshotProjections(lane));
        for (const Projection& projection : snapshot->projections)
            appendRows(matrices.id(), projection.label(), H5T_NATIVE_FLOAT, projection.values.data(), 3, row, 1);
        if (shape.attentionParameters) {  // a file of an older version that is gone on with has no place for them
            const Hdf5Handle parameters = openGroup(file, schema::snapshotParameters(lane));
            for (const ParameterValues& parameter : snapshot->parameters)
                appendRows(parameters.id(), parameter.name, H5T_NATIVE_FLOAT, parameter.values.data(), 2, row, 1);
        }
        ++row;
    }
}

void RunRows::appendLog(hid_t file) const {
    if (m_log.empty()) return;
    const Hdf5Handle group = openGroup(file, schema::kEvents);
    const hsize_t row = extentsOf(openDataset(group.id(), schema::kStep.name).id(), 1, schema::kEvents)[0];
    const hsize_t count = m_log.size();
    std::vector<std::int64_t> steps;
    std::vector<std::int32_t> lanes;
    std::string kinds, names, olds, news;
    for (const LogRow& entry : m_log) {
        steps.push_back(entry.step);
        lanes.push_back(entry.lane);
        kinds += fixedText(entry.kind, schema::kNameBytes);
        names += fixedText(entry.name, schema::kNameBytes);
        olds += fixedText(entry.oldValue, schema::kTextBytes);
        news += fixedText(entry.newValue, schema::kTextBytes);
    }
    const Hdf5Handle name = hdf5StringType(schema::kNameBytes), text = hdf5StringType(schema::kTextBytes);
    appendRows(group.id(), schema::kStep.name, H5T_NATIVE_INT64, steps.data(), 1, row, count);
    appendRows(group.id(), "lane", H5T_NATIVE_INT32, lanes.data(), 1, row, count);
    appendRows(group.id(), "kind", name.id(), kinds.data(), 1, row, count);
    appendRows(group.id(), "name", name.id(), names.data(), 1, row, count);
    appendRows(group.id(), "old", text.id(), olds.data(), 1, row, count);
    appendRows(group.id(), "new", text.id(), news.data(), 1, row, count);
}

void RunRows::writeState(hid_t file) const {
    const Hdf5Handle group = openGroup(file, schema::kState);
    writeIntegerAt(group.id(), schema::kStep.name, 0, std::max(m_lastStep, m_run.step));
    writeTextAt(group.id(), "run", schema::kNameBytes, 0, nameOf(m_run.state));
    writeTextAt(group.id(), "message", schema::kTextBytes, 0, m_run.message);
    writeTextAt(group.id(), "updated", schema::kNameBytes, 0, isoTimeNow());
    for (std::size_t index = 0; index < m_lanes.size(); ++index) {
        if (!m_laneStateChanged[index]) continue;
        const LaneStateEvent& state = m_lanes[index].state;
        writeIntegerAt(group.id(), "lane_step", index, state.step);
        writeTextAt(group.id(), "lane", schema::kNameBytes, index, nameOf(state.state));
        writeTextAt(group.id(), "lane_message", schema::kTextBytes, index, state.message);
    }
}

}  // namespace linscope

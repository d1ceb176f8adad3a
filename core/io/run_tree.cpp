#include "core/io/run_tree.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "core/base/error.h"
#include "core/io/run_objects.h"

namespace linscope {

namespace {

using schema::Column;

hsize_t chunkOf(std::int64_t extent) {
    return static_cast<hsize_t>(std::clamp<std::int64_t>(extent, 1, schema::kMatrixChunk));
}

std::string processorName() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.rfind("model name", 0) == 0 && line.find(':') != std::string::npos)
            return line.substr(std::min(line.size(), line.find(':') + 2));
    utsname names{};
    return uname(&names) == 0 ? names.machine : "unknown";
}

std::string hostName() {
    utsname names{};
    return uname(&names) == 0 ? names.nodename : "unknown";
}

/// No two runs have the same, whatever their seeds are.
std::string newRunId() {
    std::random_device bits;
    return fmt::format("{:08x}{:08x}", bits(), bits());
}

Hdf5Handle makeStep(hid_t group) {
    Hdf5Handle step = makeDataset(group, schema::kStep, {H5T_STD_I64LE, {0}, {schema::kSeriesChunk}});
    makeScale(step.id(), schema::kStep.name);
    return step;
}

/// A coordinate 0, 1, … of fixed extent.
Hdf5Handle makeCounter(hid_t group, const Column& column, std::int64_t extent) {
    Hdf5Handle scale = makeDataset(group, column, {H5T_STD_I32LE, {static_cast<hsize_t>(extent)}, {}});
    std::vector<std::int32_t> values(static_cast<std::size_t>(extent));
    std::iota(values.begin(), values.end(), 0);
    hdf5Check(H5Dwrite(scale.id(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "write",
              column.name);
    makeScale(scale.id(), column.name);
    return scale;
}

void markPlot(hid_t group, const char* signal, const std::vector<std::string>& axes) {
    writeAttribute(group, "NX_class", "NXdata");
    writeAttribute(group, "signal", signal);
    writeAttribute(group, "axes", axes);
}

/// A group of series over a shared step; markPlot() says which of them a viewer draws first.
template <std::size_t Count>
Hdf5Handle makeSeries(hid_t file, const std::string& path, const std::array<Column, Count>& columns) {
    Hdf5Handle group = makeGroup(file, path);
    const Hdf5Handle step = makeStep(group.id());
    for (const Column& column : columns)
        attachScale(makeDataset(group.id(), column, {H5T_IEEE_F64LE, {0}, {schema::kSeriesChunk}}).id(), step.id(), 0);
    return group;
}

void makeDeviceCheck(hid_t file, std::size_t lane) {
    constexpr auto kBins = static_cast<hsize_t>(DeviceCheckEvent::kBins);
    const Hdf5Handle group = makeSeries(file, schema::deviceCheck(lane), schema::kDeviceCheck);
    markPlot(group.id(), schema::kErrors.name, {schema::kStep.name, schema::kErrorFrom.name});
    const Hdf5Handle from = makeDataset(group.id(), schema::kErrorFrom, {H5T_IEEE_F64LE, {kBins}, {}});
    std::array<double, kBins> edges{};
    for (std::size_t bin = 1; bin < kBins; ++bin)
        edges[bin] = DeviceCheckEvent::kLowest * std::pow(10.0, static_cast<double>(bin - 1));
    hdf5Check(H5Dwrite(from.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, edges.data()), "write",
              schema::kErrorFrom.name);
    makeScale(from.id(), schema::kErrorFrom.name);
    const Hdf5Handle errors = makeDataset(group.id(), schema::kErrors, {H5T_STD_I64LE, {0, kBins}, {32, kBins}});
    attachScale(errors.id(), openDataset(group.id(), schema::kStep.name).id(), 0);
    attachScale(errors.id(), from.id(), 1);
}

void makeProjection(hid_t file, std::size_t lane, const Projection& projection) {
    const std::string label = projection.label();
    const Hdf5Handle group = makeSeries(file, schema::projections(lane) + "/" + label, schema::kHealth);
    markPlot(group.id(), schema::kSpectrum.name, {schema::kStep.name, schema::kIndex.name});
    writeAttribute(group.id(), "name", projection.name);
    writeAttribute(group.id(), "layer", std::int64_t{projection.layer});
    writeAttribute(group.id(), "head", std::int64_t{projection.head});
    writeAttribute(group.id(), "slots", projection.slots);
    writeAttribute(group.id(), "length", projection.length);

    const Hdf5Handle step = openDataset(group.id(), schema::kStep.name);
    const Hdf5Handle index = makeCounter(group.id(), schema::kIndex, projection.slots);
    const auto slots = static_cast<hsize_t>(projection.slots);
    for (const Column& column : {schema::kSpectrum, schema::kAngles}) {
        const Hdf5Handle dataset = makeDataset(group.id(), column, {H5T_IEEE_F32LE, {0, slots}, {32, slots}});
        attachScale(dataset.id(), step.id(), 0);
        attachScale(dataset.id(), index.id(), 1);
    }
    require(static_cast<std::int64_t>(projection.values.size()) == projection.slots * projection.length, "run file",
            "projection \"{}\" must have {} x {} values, but it has {}", label, projection.slots, projection.length,
            projection.values.size());
    const Hdf5Handle token = makeCounter(group.id(), {"token", "1", "place in the sequence"}, projection.length);
    const Hdf5Handle initial = makeDataset(group.id(), schema::kInitial,
                                           {H5T_IEEE_F32LE,
                                            {slots, static_cast<hsize_t>(projection.length)},
                                            {chunkOf(projection.slots), chunkOf(projection.length)},
                                            true});
    attachScale(initial.id(), index.id(), 0);
    attachScale(initial.id(), token.id(), 1);
    hdf5Check(H5Dwrite(initial.id(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, projection.values.data()),
              "write", schema::kInitial.name);
}

/// A row of numbers a step for each parameter: they differ in rank, and those of one size share a scale.
void makeSnapshotParameters(hid_t file, std::size_t lane, hid_t step, const std::vector<ParameterValues>& parameters) {
    const Hdf5Handle group = makeGroup(file, schema::snapshotParameters(lane));
    std::map<std::int64_t, Hdf5Handle> entries;
    std::set<std::string> names;
    for (const ParameterValues& parameter : parameters) {
        const std::string& name = parameter.name;
        require(name.starts_with(schema::kParameterPrefix) && name.find('/') == std::string::npos &&
                    names.insert(name).second,
                "run file",
                "parameters of a lane's mechanism must have names that begin with \"{}\", have no / and differ, but "
                "lane {} has \"{}\"",
                schema::kParameterPrefix, lane, name);
        const std::int64_t count = parameter.elements();
        require(!parameter.shape.empty() && count >= 1, "run file", "\"{}\" must have numbers, but its shape is [{}]",
                name, fmt::join(parameter.shape, ", "));
        if (!entries.contains(count)) {
            const std::string entry = fmt::format("entry_{}", count);
            entries[count] = makeCounter(group.id(), {entry.c_str(), "1", "place in the parameter, row-major"}, count);
        }
        const auto extent = static_cast<hsize_t>(count);
        const Hdf5Handle dataset = makeDataset(
            group.id(), {name.c_str(), "1", "parameter or buffer"},
            {H5T_IEEE_F32LE, {0, extent}, {1, std::min(extent, static_cast<hsize_t>(schema::kParameterChunk))}, true});
        writeAttribute(dataset.id(), schema::kShape, parameter.shape);
        attachScale(dataset.id(), step, 0);
        attachScale(dataset.id(), entries[count].id(), 1);
    }
}

void makeSnapshots(hid_t file, std::size_t lane, const Experiment& experiment, const Task& task,
                   const LaneLayout& layout) {
    const std::int64_t samples = std::min(experiment.probes.samples, task.batch());
    const std::int64_t heads = experiment.model.heads;
    const std::int64_t headWidth = experiment.model.width / std::max<std::int64_t>(heads, 1);
    const std::int64_t length = task.length();
    const auto extent = [](std::int64_t value) { return static_cast<hsize_t>(value); };

    const Hdf5Handle group = makeGroup(file, schema::snapshots(lane));
    const Hdf5Handle step = makeStep(group.id());
    const Hdf5Handle sample = makeCounter(group.id(), {"sample", "1", "sequence of the batch"}, samples);
    const Hdf5Handle head = makeCounter(group.id(), {"head", "1", "attention head"}, heads);
    const Hdf5Handle token = makeCounter(group.id(), {"token", "1", "place in the sequence"}, length);
    const Hdf5Handle channel = makeCounter(group.id(), {"channel", "1", "channel of the head"}, headWidth);
    const Hdf5Handle tokens =
        makeDataset(group.id(), schema::kTokens,
                    {H5T_STD_I32LE, {0, extent(samples), extent(length)}, {1, extent(samples), extent(length)}, true});
    attachScale(tokens.id(), step.id(), 0);
    attachScale(tokens.id(), sample.id(), 1);
    attachScale(tokens.id(), token.id(), 2);

    for (std::int64_t layer = 0; layer < experiment.model.layers; ++layer) {
        const Hdf5Handle layerGroup = makeGroup(file, schema::snapshotLayer(lane, static_cast<std::size_t>(layer)));
        for (const Column& column : schema::kHeads) {
            const Hdf5Handle dataset =
                makeDataset(layerGroup.id(), column,
                            {H5T_IEEE_F32LE,
                             {0, extent(samples), extent(heads), extent(length), extent(headWidth)},
                             {1, 1, 1, chunkOf(length), chunkOf(headWidth)},
                             true});
            const hid_t scales[] = {step.id(), sample.id(), head.id(), token.id(), channel.id()};
            for (unsigned axis = 0; axis < 5; ++axis) attachScale(dataset.id(), scales[axis], axis);
        }
    }

    const Hdf5Handle matrices = makeGroup(file, schema::snapshotProjections(lane));
    std::map<std::int64_t, Hdf5Handle> columns;  // of matrices that are not as long as the sequence
    for (const Projection& projection : layout.projections) {
        const std::string label = projection.label();
        const std::string slotName = "slot_" + label;
        const Hdf5Handle slot =
            makeCounter(matrices.id(), {slotName.c_str(), "1", "slot of the projection"}, projection.slots);
        const Hdf5Handle dataset = makeDataset(matrices.id(), {label.c_str(), "1", "projection"},
                                               {H5T_IEEE_F32LE,
                                                {0, extent(projection.slots), extent(projection.length)},
                                                {1, chunkOf(projection.slots), chunkOf(projection.length)},
                                                true});
        attachScale(dataset.id(), step.id(), 0);
        attachScale(dataset.id(), slot.id(), 1);
        if (projection.length == length) {
            attachScale(dataset.id(), token.id(), 2);
            continue;
        }
        if (!columns.contains(projection.length)) {
            const std::string column = fmt::format("column_{}", projection.length);
            columns[projection.length] =
                makeCounter(matrices.id(), {column.c_str(), "1", "column of the projection"}, projection.length);
        }
        attachScale(dataset.id(), columns[projection.length].id(), 2);
    }
    makeSnapshotParameters(file, lane, step.id(), layout.attentionParameters);
}

void makeLane(hid_t file, std::size_t index, const Experiment& experiment, const Task& task, const LaneLayout& layout) {
    const Hdf5Handle group = makeGroup(file, schema::lane(index));
    writeAttribute(group.id(), "name", layout.name);
    writeAttribute(group.id(), "mechanism", layout.mechanism);
    writeAttribute(group.id(), "parameters", layout.parameters);
    const std::vector<std::string> overStep{schema::kStep.name};
    markPlot(makeSeries(file, schema::metrics(index), schema::kMetrics).id(), "loss", overStep);
    markPlot(makeSeries(file, schema::validation(index), schema::kValidation).id(), "bits_per_byte", overStep);
    markPlot(makeSeries(file, schema::probes(index), schema::kProbes).id(), "milliseconds", overStep);
    makeDeviceCheck(file, index);
    makeGroup(file, schema::projections(index));
    std::set<std::string> labels;
    for (const Projection& projection : layout.projections) {
        require(labels.insert(projection.label()).second, "run file",
                "projections of a lane must differ in their labels, but lane {} has two \"{}\"", index,
                projection.label());
        makeProjection(file, index, projection);
    }
    makeSnapshots(file, index, experiment, task, layout);
}

void makeTexts(hid_t group, const Column& column, std::size_t width, const std::vector<std::string>& texts) {
    const Hdf5Handle type = hdf5StringType(width);
    const Hdf5Handle dataset = makeDataset(group, column, {type.id(), {texts.size()}, {}});
    std::string values;
    for (const std::string& text : texts) values += fixedText(text, width);
    if (!texts.empty())
        hdf5Check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "write",
                  column.name);
}

template <typename T>
void makeNumbers(hid_t group, const Column& column, hid_t fileType, hid_t memoryType, const std::vector<T>& values) {
    const Hdf5Handle dataset = makeDataset(group, column, {fileType, {values.size()}, {}});
    if (!values.empty())
        hdf5Check(H5Dwrite(dataset.id(), memoryType, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "write",
                  column.name);
}

void makeState(hid_t file, std::size_t lanes) {
    const Hdf5Handle group = makeGroup(file, schema::kState);
    const std::vector<std::int64_t> none{0};
    makeNumbers(group.id(), schema::kStep, H5T_STD_I64LE, H5T_NATIVE_INT64, none);
    makeTexts(group.id(), {"run", "1", "state of the run"}, schema::kNameBytes, {kRunStateNames[0]});
    makeTexts(group.id(), {"message", "1", "what a waiting run waits for"}, schema::kTextBytes, {""});
    makeTexts(group.id(), {"updated", "1", "time of the last flush, ISO 8601"}, schema::kNameBytes, {isoTimeNow()});
    makeNumbers(group.id(), {"lane_step", "1", "step at which the lane took its state"}, H5T_STD_I64LE,
                H5T_NATIVE_INT64, std::vector<std::int64_t>(lanes, 0));
    makeTexts(group.id(), {"lane", "1", "state of the lane"}, schema::kNameBytes,
              std::vector<std::string>(lanes, kLaneStateNames[0]));
    makeTexts(group.id(), {"lane_message", "1", "why the lane stopped"}, schema::kTextBytes,
              std::vector<std::string>(lanes));
}

void makeEvents(hid_t file) {
    const Hdf5Handle group = makeGroup(file, schema::kEvents);
    // Not a scale: several events may share a step.
    makeDataset(group.id(), schema::kStep, {H5T_STD_I64LE, {0}, {schema::kEventChunk}});
    makeDataset(group.id(), {"lane", "1", "lane, -1: all"}, {H5T_STD_I32LE, {0}, {schema::kEventChunk}});
    const Hdf5Handle name = hdf5StringType(schema::kNameBytes), text = hdf5StringType(schema::kTextBytes);
    makeDataset(group.id(), {"kind", "1", "command, checkpoint, lane_state or run_state"},
                {name.id(), {0}, {schema::kEventChunk}});
    makeDataset(group.id(), {"name", "1", "what happened"}, {name.id(), {0}, {schema::kEventChunk}});
    makeDataset(group.id(), {"old", "1", "value before"}, {text.id(), {0}, {schema::kEventChunk}});
    makeDataset(group.id(), {"new", "1", "value after, path or message"}, {text.id(), {0}, {schema::kEventChunk}});
}

void makeBaselines(hid_t file, const std::vector<TaskBaseline>& baselines) {
    std::vector<std::string> metrics, names;
    std::vector<double> values;
    for (const TaskBaseline& baseline : baselines) {
        metrics.push_back(baseline.metric);
        names.push_back(baseline.name);
        values.push_back(baseline.value);
    }
    const Hdf5Handle group = makeGroup(file, schema::kBaselines);
    makeTexts(group.id(), {"metric", "1", "metric that the value is compared with"}, schema::kTextBytes, metrics);
    makeTexts(group.id(), {"name", "1", "what the value is"}, schema::kTextBytes, names);
    makeNumbers(group.id(), {"value", "1", "value, in the unit of the metric"}, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                values);
}

}  // namespace

std::string isoTimeNow() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char text[40];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &parts);
    std::string time = text;
    if (time.size() > 2) time.insert(time.size() - 2, ":");
    return time;
}

void makeRunTree(hid_t file, const Experiment& experiment, const Task& task, const std::vector<LaneLayout>& lanes) {
    writeAttribute(file, "linscope_schema", std::int64_t{kRunFileSchema});
    writeAttribute(file, "program", "linscope " LINSCOPE_VERSION);
    writeAttribute(file, "title", experiment.title);
    writeAttribute(file, "experiment", experiment.toToml());
    writeAttribute(file, "seed", experiment.seed);
    writeAttribute(file, "started", isoTimeNow());
    writeAttribute(file, "host", hostName());
    writeAttribute(file, "processor", processorName());
    writeAttribute(file, "data", task.description());
    writeAttribute(file, schema::kRunId, newRunId());
    if (const std::string digest = task.dataDigest(); !digest.empty())
        writeAttribute(file, schema::kDataDigest, digest);
    writeAttribute(file, "NX_class", "NXroot");
    if (!lanes.empty()) writeAttribute(file, "default", schema::metrics(0));
    makeState(file, lanes.size());
    makeEvents(file);
    makeBaselines(file, task.baselines());
    std::vector<std::string> vocabulary;
    for (std::int64_t token = 0; token < task.vocabulary(); ++token)
        vocabulary.push_back(task.tokenText(static_cast<std::int32_t>(token)));
    makeTexts(file, {schema::kVocabulary.c_str(), "1", "each token as a person reads it"}, schema::kTokenBytes,
              vocabulary);
    const std::vector<std::string> classes = task.classes();
    std::size_t longest = 0;
    for (const std::string& name : classes) longest = std::max(longest, name.size());
    if (!classes.empty())
        makeTexts(file, {schema::kClasses.c_str(), "1", "each class by its name"}, longest + 1, classes);
    for (std::size_t index = 0; index < lanes.size(); ++index) makeLane(file, index, experiment, task, lanes[index]);
}

}  // namespace linscope

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "core/io/run_file.h"
#include "core/io/run_read.h"
#include "core/io/run_schema.h"
#include "core/io/storage.h"

namespace linscope {

namespace {

template <std::size_t Count>
std::vector<std::string> namesOf(const std::array<schema::Column, Count>& columns) {
    std::vector<std::string> names;
    for (const schema::Column& column : columns) names.emplace_back(column.name);
    return names;
}

template <std::size_t Count>
void readSeries(const RunInput& input, const std::string& group, const std::array<schema::Column, Count>& columns,
                const std::string& prefix, std::vector<Series>& out) {
    const std::uint64_t rows = commonRows(input, group, namesOf(columns));
    const std::vector<std::int64_t> steps = input.integers(group + "/" + schema::kStep.name, 1, rows);
    for (const schema::Column& column : columns)
        out.push_back({prefix + column.name, column.unit, column.longName, steps,
                       input.reals(group + "/" + column.name, 1, rows)});
}

/// [N,K] as N vectors.
std::vector<std::vector<float>> readRows(const RunInput& input, const std::string& dataset, std::uint64_t rows) {
    const std::vector<double> values = input.reals(dataset, 2, rows);
    const std::size_t width = rows ? values.size() / rows : 0;
    std::vector<std::vector<float>> split(rows);
    for (std::uint64_t row = 0; row < rows; ++row)
        split[row].assign(values.begin() + static_cast<std::ptrdiff_t>(row * width),
                          values.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    return split;
}

/// Nothing where no step was checked, as in most runs.
void readDeviceCheck(const RunInput& input, const std::string& group, LaneRecord& lane) {
    constexpr std::size_t kBins = DeviceCheckEvent::kBins;
    const std::string errors = group + "/" + schema::kErrors.name;
    const std::vector<std::uint64_t> extents = input.extents(errors, 2);
    require(extents[1] == kBins, "run file", "{} must have {} bins, but it has {}", errors, kBins, extents[1]);
    const std::uint64_t rows = std::min(commonRows(input, group, namesOf(schema::kDeviceCheck)), extents[0]);
    if (rows == 0) return;
    readSeries(input, group, schema::kDeviceCheck, "device_check_", lane.metrics);
    const std::vector<std::int64_t> counts = input.integers(errors, 2, rows);
    lane.checkErrors.resize(rows);
    for (std::uint64_t row = 0; row < rows; ++row)
        std::copy_n(counts.begin() + static_cast<std::ptrdiff_t>(row * kBins), kBins, lane.checkErrors[row].begin());
}

ProjectionSeries readProjection(const RunInput& input, const std::string& group, const std::string& label,
                                const ProjectionShape& shape) {
    ProjectionSeries series;
    series.label = label;
    series.layer = shape.layer;
    series.head = shape.head;
    series.slots = shape.slots;
    series.length = shape.length;
    const std::string spectrum = group + "/" + schema::kSpectrum.name, angles = group + "/" + schema::kAngles.name;
    std::uint64_t rows = commonRows(input, group, namesOf(schema::kHealth));
    rows = std::min({rows, input.extents(spectrum, 2)[0], input.extents(angles, 2)[0]});
    series.steps = input.integers(group + "/" + schema::kStep.name, 1, rows);
    series.spectrum = readRows(input, spectrum, rows);
    series.angles = readRows(input, angles, rows);
    // A matrix has as many values as its shorter side; behind them its rows in the file are filled with NaN.
    for (auto* values : {&series.spectrum, &series.angles})
        for (auto& row : *values)
            while (!row.empty() && std::isnan(row.back())) row.pop_back();
    for (const schema::Column& column : schema::kHealth)
        series.measures[column.name] = input.reals(group + "/" + column.name, 1, rows);
    return series;
}

template <std::size_t Count>
std::size_t indexOf(const std::array<const char*, Count>& names, const std::string& name, const char* what) {
    const auto found = std::find(names.begin(), names.end(), name);
    require(found != names.end(), "run file", "{} must be a known state, but it is \"{}\"", what, name);
    return static_cast<std::size_t>(found - names.begin());
}

/// All that a reader holds in memory; snapshots stay in the file.
struct Content {
    std::int64_t schema = 0;
    std::string toml, runId, data, dataDigest;
    RunShape shape;
    std::vector<LaneRecord> lanes;
    std::vector<TaskBaseline> baselines;
    std::vector<Event> log;
    std::vector<std::string> vocabulary, classes;
    RunState state = RunState::Running;
    RunHealth health = RunHealth::Whole;
    bool wasWritten = false;  ///< when reading began
    std::int64_t lastStep = 0;
    std::uint64_t bytes = 0;
};

void readLanes(const RunInput& input, Content& content) {
    const std::size_t count = content.shape.lanes.size();
    const std::vector<std::string> states = input.texts(schema::kState + "/lane", count);
    const std::vector<std::string> messages = input.texts(schema::kState + "/lane_message", count);
    for (std::size_t index = 0; index < count; ++index) {
        const LaneShape& shape = content.shape.lanes[index];
        LaneRecord lane;
        lane.name = shape.name;
        lane.mechanism = shape.mechanism;
        lane.parameters = shape.parameters;
        lane.state = static_cast<LaneState>(indexOf(kLaneStateNames, states[index], "a lane's state"));
        lane.message = messages[index];
        readSeries(input, schema::metrics(index), schema::kMetrics, "", lane.metrics);
        if (!lane.metrics[0].steps.empty()) content.lastStep = std::max(content.lastStep, lane.metrics[0].steps.back());
        readSeries(input, schema::validation(index), schema::kValidation, schema::kValidationPrefix, lane.metrics);
        if (shape.deviceCheck) readDeviceCheck(input, schema::deviceCheck(index), lane);
        for (const std::string& label : shape.labels)
            lane.projections.push_back(
                readProjection(input, schema::projections(index) + "/" + label, label, shape.projections.at(label)));
        std::uint64_t rows = input.extents(schema::snapshots(index) + "/" + schema::kTokens.name, 3)[0];
        for (std::int64_t layer = 0; layer < shape.layers; ++layer)
            for (const schema::Column& part : schema::kHeads)
                rows = std::min(
                    rows, input.extents(schema::snapshotLayer(index, static_cast<std::size_t>(layer)) + "/" + part.name,
                                        5)[0]);
        for (const std::string& label : shape.labels)
            rows = std::min(rows, input.extents(schema::snapshotProjections(index) + "/" + label, 3)[0]);
        if (shape.attentionParameters)
            for (const auto& [name, extents] : *shape.attentionParameters)
                rows = std::min(rows, input.extents(schema::snapshotParameters(index) + "/" + name, 2)[0]);
        const std::string step = schema::snapshots(index) + "/" + schema::kStep.name;
        rows = std::min(rows, input.extents(step, 1)[0]);
        lane.snapshotSteps = input.integers(step, 1, rows);
        content.lanes.push_back(std::move(lane));
    }
}

/// A row of events/; none for a kind that only a later version knows.
std::optional<Event> loggedEvent(const std::string& kind, std::int64_t step, int lane, const std::string& name,
                                 const std::string& before, const std::string& after) {
    if (kind == schema::kCommandKind) return CommandEvent{step, lane, name, before, after};
    if (kind == schema::kCheckpointKind) return CheckpointEvent{step, after};
    if (kind == schema::kLaneStateKind)
        return LaneStateEvent{step, lane, static_cast<LaneState>(indexOf(kLaneStateNames, name, "a lane's state")),
                              after};
    if (kind == schema::kRunStateKind)
        return RunStateEvent{step, static_cast<RunState>(indexOf(kRunStateNames, name, "the run's state")), after};
    return std::nullopt;
}

void readLog(const RunInput& input, Content& content) {
    const std::string group = schema::kEvents + "/";
    const std::uint64_t rows = commonRows(input, schema::kEvents, {"lane", "kind", "name", "old", "new"});
    const auto steps = input.integers(group + "step", 1, rows);
    const auto lanes = input.integers(group + "lane", 1, rows);
    const auto kinds = input.texts(group + "kind", rows), names = input.texts(group + "name", rows);
    const auto olds = input.texts(group + "old", rows), news = input.texts(group + "new", rows);
    for (std::uint64_t row = 0; row < rows; ++row)
        if (auto event =
                loggedEvent(kinds[row], steps[row], static_cast<int>(lanes[row]), names[row], olds[row], news[row]))
            content.log.push_back(std::move(*event));
}

Content readContent(const std::filesystem::path& path) {
    checkIsRunFile(path);
    Content content;
    content.wasWritten = isBeingWritten(path);
    const Hdf5Session session;
    const RunInput input(path);
    content.bytes = std::filesystem::file_size(path);
    content.schema = input.integerAttribute("/", "linscope_schema");
    content.toml = input.textAttribute("/", "experiment");
    content.runId = input.rootText(schema::kRunId);
    content.data = input.rootText("data");
    content.dataDigest = input.rootText(schema::kDataDigest);
    content.shape = readRunShape(input);
    content.lastStep = input.integers(schema::kState + "/step", 1, 1)[0];
    content.state =
        static_cast<RunState>(indexOf(kRunStateNames, input.texts(schema::kState + "/run", 1)[0], "the run's state"));
    readLanes(input, content);
    readLog(input, content);
    const std::uint64_t baselines = input.extents(schema::kBaselines + "/value", 1)[0];
    const auto metrics = input.texts(schema::kBaselines + "/metric", baselines);
    const auto names = input.texts(schema::kBaselines + "/name", baselines);
    const auto values = input.reals(schema::kBaselines + "/value", 1, baselines);
    for (std::uint64_t row = 0; row < baselines; ++row)
        content.baselines.push_back({metrics[row], names[row], values[row]});
    if (input.has(schema::kClasses))  // other tasks, and earlier versions, have none
        content.classes = input.texts(schema::kClasses, input.extents(schema::kClasses, 1)[0]);
    content.vocabulary = input.texts(schema::kVocabulary, input.extents(schema::kVocabulary, 1)[0]);
    return content;
}

/// Reads again when a flush has come in between, which lasts less than a millisecond.
template <typename Read>
auto patiently(const std::filesystem::path& path, Read&& read) {
    for (int attempt = 1;; ++attempt) {
        try {
            return read();
        } catch (const Error&) {
            constexpr int kAttempts = 4;
            std::error_code ignored;
            if (attempt == kAttempts || !std::filesystem::is_regular_file(path, ignored) || !isBeingWritten(path))
                throw;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
}

Content readPatiently(const std::filesystem::path& path) {
    return patiently(path, [&path] { return readContent(path); });
}

bool hasEnded(RunState state) {
    return state == RunState::Stopped || state == RunState::Finished;
}

}  // namespace

bool isBeingWritten(const std::filesystem::path& runFile) {
    return StorageFile(runFile, StorageFile::Mode::Read).lockedByWriter();
}

struct RunFileReader::Impl {
    std::filesystem::path path;
    Content content;
    std::optional<Experiment> experiment;
};

RunFileReader::RunFileReader(const std::filesystem::path& path) : m_impl(std::make_unique<Impl>()) {
    m_impl->path = path;
    refresh();
}

RunFileReader::~RunFileReader() = default;

void RunFileReader::refresh() {
    const std::filesystem::path& path = m_impl->path;
    m_impl->experiment.reset();  // the file may be another one
    m_impl->content = readPatiently(path);
    Content& content = m_impl->content;
    if (hasEnded(content.state)) return;
    content.health = isBeingWritten(path) ? RunHealth::BeingWritten : RunHealth::CutOff;
    if (content.health == RunHealth::BeingWritten || !content.wasWritten) return;
    // Its writer has gone since the reading began: it may have ended the run after its state was read.
    content = readPatiently(path);
    content.health = hasEnded(content.state) ? RunHealth::Whole : RunHealth::CutOff;
}

std::int64_t RunFileReader::schema() const {
    return m_impl->content.schema;
}

const Experiment& RunFileReader::experiment() const {
    // Read when asked for: a run whose mechanism this program lacks still shows its curves.
    if (!m_impl->experiment)
        m_impl->experiment = Experiment::fromToml(m_impl->content.toml, m_impl->path.string() + ":experiment");
    return *m_impl->experiment;
}

std::string RunFileReader::experimentToml() const {
    return m_impl->content.toml;
}
const std::string& RunFileReader::runId() const {
    return m_impl->content.runId;
}
const std::string& RunFileReader::data() const {
    return m_impl->content.data;
}
const std::string& RunFileReader::dataDigest() const {
    return m_impl->content.dataDigest;
}
const std::vector<LaneRecord>& RunFileReader::lanes() const {
    return m_impl->content.lanes;
}
std::vector<TaskBaseline> RunFileReader::baselines() const {
    return m_impl->content.baselines;
}
const std::vector<Event>& RunFileReader::log() const {
    return m_impl->content.log;
}
const std::vector<std::string>& RunFileReader::classes() const {
    return m_impl->content.classes;
}
const std::vector<std::string>& RunFileReader::vocabulary() const {
    return m_impl->content.vocabulary;
}
RunState RunFileReader::state() const {
    return m_impl->content.state;
}
std::int64_t RunFileReader::lastStep() const {
    return m_impl->content.lastStep;
}
std::uint64_t RunFileReader::fileBytes() const {
    return m_impl->content.bytes;
}

RunHealth RunFileReader::health() const {
    return m_impl->content.health;
}

Snapshot RunFileReader::snapshot(int lane, std::int64_t step) const {
    const Content& content = m_impl->content;
    require(lane >= 0 && static_cast<std::size_t>(lane) < content.lanes.size(), "run file",
            "the lane must be 0 to {}, but it is {}", static_cast<std::int64_t>(content.lanes.size()) - 1, lane);
    const auto index = static_cast<std::size_t>(lane);
    const std::vector<std::int64_t>& steps = content.lanes[index].snapshotSteps;
    const auto found = std::find(steps.begin(), steps.end(), step);
    require(found != steps.end(), "run file", "step {} must have a snapshot of lane {}, but only these have: {}", step,
            lane, steps.empty() ? "none" : fmt::format("{}", fmt::join(steps, ", ")));
    const auto row = static_cast<std::uint64_t>(found - steps.begin());
    const LaneShape& shape = content.shape.lanes[index];
    const Experiment& run = experiment();
    require(index < run.lanes.size(), "run file", "an experiment of {} lanes in {}, but it has {}",
            content.lanes.size(), m_impl->path.string(), run.lanes.size());

    return patiently(m_impl->path, [&] {
        const Hdf5Session session;
        const RunInput input(m_impl->path);
        const auto extent = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
        Snapshot snapshot;
        snapshot.step = step;
        snapshot.lane = lane;
        snapshot.mechanism = shape.mechanism;
        snapshot.options = run.lanes[index].options;
        snapshot.causal = run.model.causal();
        snapshot.position = positionOf(run.model.position);
        snapshot.samples = shape.samples;
        snapshot.heads = shape.heads;
        snapshot.length = shape.length;
        snapshot.headWidth = shape.headWidth;
        snapshot.tokens = input.intRow(schema::snapshots(index) + "/" + schema::kTokens.name, row,
                                       {extent(shape.samples), extent(shape.length)});
        const std::vector<std::uint64_t> headShape{extent(shape.samples), extent(shape.heads), extent(shape.length),
                                                   extent(shape.headWidth)};
        for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
            const std::string group = schema::snapshotLayer(index, static_cast<std::size_t>(layer)) + "/";
            snapshot.layers.push_back({input.floatRow(group + schema::kHeads[0].name, row, headShape),
                                       input.floatRow(group + schema::kHeads[1].name, row, headShape),
                                       input.floatRow(group + schema::kHeads[2].name, row, headShape)});
        }
        for (const auto& [label, projection] : shape.projections)
            snapshot.projections.push_back({projection.name, projection.layer, projection.head, projection.slots,
                                            projection.length,
                                            input.floatRow(schema::snapshotProjections(index) + "/" + label, row,
                                                           {extent(projection.slots), extent(projection.length)})});
        if (shape.attentionParameters)
            for (const auto& [name, extents] : *shape.attentionParameters) {
                ParameterValues parameter{name, extents, {}};
                parameter.values =
                    input.floatRow(schema::snapshotParameters(index) + "/" + name, row, {extent(parameter.elements())});
                snapshot.parameters.push_back(std::move(parameter));
            }
        return snapshot;
    });
}

}  // namespace linscope

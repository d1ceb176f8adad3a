#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/io/run_read.h"
#include "core/train/event.h"

namespace linscope {

/// What has happened since the last flush, sorted into the rows of the file's datasets.
class RunRows {
public:
    explicit RunRows(RunShape shape);

    /// Takes an event in. Throws Error when it does not fit the tree (a lane, label or size that is unknown).
    void add(const Event& event);
    bool empty() const { return m_empty; }
    /// Memory held by snapshots that wait.
    std::uint64_t snapshotBytes() const { return m_snapshotBytes; }
    /// Appends all rows and brings the state up to date. The caller holds a Hdf5Session.
    void append(hid_t file) const;
    /// Forgets the rows, not the state.
    void clear();

private:
    struct Series {
        std::vector<std::int64_t> steps;
        std::vector<std::vector<double>> columns;
        std::vector<float> spectrum, angles;  // [N,K], for projections
        std::vector<std::int64_t> errors;     // [N,bins], for checks of a device
    };
    struct LaneRows {
        Series metrics, validation, probes, checks;
        std::map<std::string, Series> projections;
        std::vector<std::shared_ptr<const Snapshot>> snapshots;
        LaneStateEvent state;
    };
    struct LogRow {
        std::int64_t step;
        std::int32_t lane;
        std::string kind, name, oldValue, newValue;
    };

    void take(const StepEvent& event);
    void take(const ValidationEvent& event);
    void take(const ProbeEvent& event);
    void take(const SnapshotEvent& event);
    void take(const DeviceCheckEvent& event);
    void take(const CommandEvent& event);
    void take(const LaneStateEvent& event);
    void take(const CheckpointEvent& event);
    void take(const RunStateEvent& event);
    LaneRows& lane(int index);
    void appendSnapshots(hid_t file, std::size_t lane) const;
    void appendLog(hid_t file) const;
    void writeState(hid_t file) const;

    RunShape m_shape;
    std::vector<LaneRows> m_lanes;
    std::vector<LogRow> m_log;
    RunStateEvent m_run;
    std::int64_t m_lastStep = 0;
    std::uint64_t m_snapshotBytes = 0;
    bool m_empty = true, m_stateChanged = false;
    std::vector<bool> m_laneStateChanged;
};

/// Cuts off the rows of steps later than `step`, and what a kill has left unfinished.
void cutRowsAfter(hid_t file, const RunInput& input, const RunShape& shape, std::int64_t step);

}  // namespace linscope

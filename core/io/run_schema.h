#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>

#include "core/train/event.h"

// The names of the run file, each in one place. docs/run-file.md is the description for readers.

namespace linscope::schema {

struct Column {
    const char* name;
    const char* unit;
    const char* longName;
};

inline constexpr Column kStep{"step", "1", "optimizer step"};

/// Of a lane at every step; values by stepValues().
inline constexpr std::array<Column, 8> kMetrics{{
    {"loss", "nat", "mean cross-entropy over the selected places"},
    {"accuracy", "1", "share of selected places predicted right"},
    {"gradient_norm", "1", "norm of the whole gradient before clipping"},
    {"learning_rate", "1", "learning rate of the step"},
    {"tokens_per_second", "1/s", "tokens per second"},
    {"step_milliseconds", "ms", "wall time of the lane's step"},
    {"memory_bytes", "B", "memory of the lane: parameters, optimizer, peak of the step"},
    {"wall_seconds", "s", "time since the start of training, without pauses"},
}};

inline std::array<double, kMetrics.size()> stepValues(const LaneStep& step, double wallSeconds) {
    return {step.loss,         step.accuracy,    step.gradientNorm, step.learningRate, step.tokensPerSecond,
            step.milliseconds, step.memoryBytes, wallSeconds};
}

/// Of a lane at every validation; values by validationValues(). Readers put the prefix before the name.
inline constexpr const char* kValidationPrefix = "validation_";
inline constexpr std::array<Column, 3> kValidation{{
    {"loss", "nat", "mean cross-entropy on held-out data"},
    {"bits_per_byte", "bit/B", "validation loss per byte, in bits"},
    {"accuracy", "1", "share of selected held-out places predicted right"},
}};

inline std::array<double, kValidation.size()> validationValues(const ValidationEvent& event) {
    return {event.loss, event.bitsPerByte, event.accuracy};
}

/// Of a lane at every probe.
inline constexpr std::array<Column, 1> kProbes{{{"milliseconds", "ms", "cost of the probe"}}};

/// Of a lane at every step that was computed a second time on the processor; values by checkValues(). Readers put
/// "device_check_" before the name.
inline constexpr std::array<Column, 4> kDeviceCheck{{
    {"loss_error", "1", "difference from the loss on the processor, relative"},
    {"gradient_norm_error", "1", "difference from the norm of the gradient on the processor, relative"},
    {"worst_error", "1", "largest difference of a gradient's entry over the largest of its tensor"},
    {"milliseconds", "ms", "time of the second computation"},
}};
inline constexpr Column kErrors{"errors", "1", "entries of gradients by their errors"};
inline constexpr Column kErrorFrom{"error_from", "1", "least error of the bin; the last has no end"};

inline std::array<double, kDeviceCheck.size()> checkValues(const DeviceCheckEvent& check) {
    return {check.lossError, check.normError, check.worstError, check.milliseconds};
}

/// Of one projection at every probe; values by healthValues().
inline constexpr std::array<Column, 7> kHealth{{
    {"condition_number", "1", "largest over smallest singular value, at most 8.4e6"},
    {"stable_rank", "1", "squared Frobenius norm over squared largest singular value"},
    {"effective_rank", "1", "exponential of the entropy of the normalised singular values"},
    {"frobenius_drift", "1", "distance from the projection at step 0, relative to its norm"},
    {"scale", "1", "component along the projection at step 0"},
    {"cosine", "1", "cosine to the projection at step 0"},
    {"subspace_overlap", "1", "mean squared cosine of the principal angles to step 0"},
}};

inline std::array<double, kHealth.size()> healthValues(const ProjectionHealth& health) {
    return {health.conditionNumber, health.stableRank, health.effectiveRank,  health.frobeniusDrift,
            health.scale,           health.cosine,     health.subspaceOverlap};
}

inline constexpr Column kSpectrum{"spectrum", "1", "singular values, descending"};
inline constexpr Column kAngles{"principal_angles", "rad", "principal angles to the row space of step 0, ascending"};
inline constexpr Column kIndex{"index", "1", "number of the singular value or angle"};
inline constexpr Column kInitial{"initial", "1", "the projection at step 0"};

/// Of a parameter in snapshots: its extents, since its numbers are one row. What else is in the group has other names.
inline constexpr const char* kShape = "shape";
inline constexpr const char* kParameterPrefix = "attention.";

inline constexpr Column kTokens{"tokens", "1", "tokens as the model read them"};
inline constexpr std::array<Column, 3> kHeads{{
    {"q", "1", "queries"},
    {"k", "1", "keys"},
    {"v", "1", "values"},
}};

/// Attributes of the root that files of earlier versions lack.
inline constexpr const char* kRunId = "run_id";
inline constexpr const char* kDataDigest = "data_digest";

// Bytes that texts may take; longer ones are cut at a whole character.
inline constexpr std::size_t kNameBytes = 32;
inline constexpr std::size_t kTextBytes = 512;
inline constexpr std::size_t kTokenBytes = 16;

// Rows in a chunk: of series, of the log of events, and of large matrices (rows and columns).
inline constexpr std::int64_t kSeriesChunk = 512;
inline constexpr std::int64_t kEventChunk = 16;
inline constexpr std::int64_t kMatrixChunk = 256;
inline constexpr std::int64_t kParameterChunk = 65536;

inline const std::string kEvents = "events";
inline const std::string kState = "state";
inline const std::string kBaselines = "baselines";
inline const std::string kVocabulary = "vocabulary";
inline const std::string kClasses = "classes";

inline std::string lane(std::size_t index) {
    return fmt::format("lanes/{}", index);
}
inline std::string metrics(std::size_t index) {
    return lane(index) + "/metrics";
}
inline std::string validation(std::size_t index) {
    return lane(index) + "/validation";
}
inline std::string probes(std::size_t index) {
    return lane(index) + "/probes";
}
inline std::string deviceCheck(std::size_t index) {
    return lane(index) + "/device_check";
}
inline std::string projections(std::size_t index) {
    return lane(index) + "/projections";
}
inline std::string snapshots(std::size_t index) {
    return lane(index) + "/snapshots";
}
inline std::string snapshotLayer(std::size_t lane, std::size_t layer) {
    return fmt::format("{}/layers/{}", snapshots(lane), layer);
}
inline std::string snapshotProjections(std::size_t lane) {
    return snapshots(lane) + "/projections";
}
inline std::string snapshotParameters(std::size_t lane) {
    return snapshots(lane) + "/parameters";
}

/// What a CommandEvent and other events are called in events/kind.
inline constexpr const char* kCommandKind = "command";
inline constexpr const char* kCheckpointKind = "checkpoint";
inline constexpr const char* kLaneStateKind = "lane_state";
inline constexpr const char* kRunStateKind = "run_state";

}  // namespace linscope::schema

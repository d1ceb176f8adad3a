#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/io/hdf5_handle.h"

namespace linscope {

// Reading that trusts nothing: ranks, types and sizes are checked before memory is taken for them. All
// throw Error that names the file. The caller holds a Hdf5Session, but for checkIsRunFile().

/// A run file open for reading, plain or, where a writer's mark was left in it, as SWMR allows.
class RunInput {
public:
    explicit RunInput(const std::filesystem::path& path);

    /// Extents of a dataset of that rank; throws when it is missing.
    std::vector<std::uint64_t> extents(const std::string& dataset, int rank) const;
    bool has(const std::string& path) const;
    std::vector<std::string> children(const std::string& group) const;

    /// The first `rows` rows, row-major; `rank` is the dataset's. Integers are read as integers alone.
    std::vector<std::int64_t> integers(const std::string& dataset, int rank, std::uint64_t rows) const;
    std::vector<double> reals(const std::string& dataset, int rank, std::uint64_t rows) const;
    std::vector<std::string> texts(const std::string& dataset, std::uint64_t rows) const;
    /// Row `row` alone, of a dataset whose other extents must be `shape`.
    std::vector<float> floatRow(const std::string& dataset, std::uint64_t row,
                                const std::vector<std::uint64_t>& shape) const;
    std::vector<std::int32_t> intRow(const std::string& dataset, std::uint64_t row,
                                     const std::vector<std::uint64_t>& shape) const;

    std::string textAttribute(const std::string& object, const char* name) const;
    /// The same of the root; empty where there is no such attribute, as in files of earlier versions.
    std::string rootText(const char* name) const;
    std::int64_t integerAttribute(const std::string& object, const char* name) const;
    /// At least one and at most `most` integers.
    std::vector<std::int64_t> integersAttribute(const std::string& object, const char* name, std::int64_t most) const;

private:
    Hdf5Handle open(const std::string& dataset, int rank, H5T_class_t kind, std::vector<std::uint64_t>& extents) const;
    std::uint64_t elements(const std::string& dataset, const std::vector<std::uint64_t>& extents,
                           std::uint64_t bytesEach) const;
    void readSlab(const std::string& dataset, std::uint64_t first, std::uint64_t rows,
                  const std::vector<std::uint64_t>& shape, H5T_class_t kind, hid_t memoryType, std::uint64_t bytesEach,
                  void* (*take)(void*, std::uint64_t), void* target) const;

    std::string m_name;
    std::uint64_t m_bytes = 0;
    Hdf5Handle m_file;
};

/// What the tree of a run file was made for.
struct ProjectionShape {
    std::int64_t slots = 0, length = 0;
    std::string name;
    int layer = 0, head = 0;
};
struct LaneShape {
    std::string name, mechanism;
    std::int64_t parameters = 0;
    std::vector<std::string> labels;  ///< of projections, in alphabetical order
    std::map<std::string, ProjectionShape> projections;
    /// Extents of the mechanism's parameters in snapshots, by name; none: the file is older than they are.
    std::optional<std::map<std::string, std::vector<std::int64_t>>> attentionParameters;
    bool deviceCheck = false;  ///< has a place for them; files of older versions have none
    std::int64_t layers = 0, samples = 0, heads = 0, length = 0, headWidth = 0;  // L, S, H, T, D of snapshots
};
struct RunShape {
    std::vector<LaneShape> lanes;
};
RunShape readRunShape(const RunInput& input);

/// The rows that `columns` of a group have in common with its `step`: after a kill in the middle of a
/// flush some may be ahead of others.
std::uint64_t commonRows(const RunInput& input, const std::string& group, const std::vector<std::string>& columns);

/// Throws unless `path` is a whole HDF5 file: absent, a folder, empty, foreign and truncated have a
/// sentence of their own.
void checkIsRunFile(const std::filesystem::path& path);

}  // namespace linscope

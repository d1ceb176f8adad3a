#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/hdf5_handle.h"
#include "core/io/run_schema.h"

namespace linscope {

// Making and changing the objects of a run file. The caller holds a Hdf5Session.

void writeAttribute(hid_t object, const char* name, std::string_view text);
void writeAttribute(hid_t object, const char* name, const std::vector<std::string>& texts);
void writeAttribute(hid_t object, const char* name, std::int64_t value);
void writeAttribute(hid_t object, const char* name, const std::vector<std::int64_t>& values);
void writeAttribute(hid_t object, const char* name, double value);

Hdf5Handle openGroup(hid_t parent, const std::string& path);
Hdf5Handle openDataset(hid_t parent, const std::string& path);
/// Makes a group and those above it.
Hdf5Handle makeGroup(hid_t parent, const std::string& path);

/// How a dataset is laid out. The first extent 0 means: grows without bound.
struct DatasetLayout {
    hid_t type;
    std::vector<hsize_t> shape;
    std::vector<hsize_t> chunk;  ///< empty: contiguous, of fixed shape
    bool compressed = false;     ///< shuffle and deflate 1; for chunks that are written once
};
Hdf5Handle makeDataset(hid_t group, const schema::Column& column, const DatasetLayout& layout);

/// Turns a dataset into the dimension scale `name`.
void makeScale(hid_t dataset, const char* name);
void attachScale(hid_t dataset, hid_t scale, unsigned axis);

/// Extents now; throws when the rank is not `rank`.
std::vector<hsize_t> extentsOf(hid_t dataset, std::size_t rank, std::string_view name);
void setRows(hid_t dataset, std::vector<hsize_t> extents, hsize_t rows, std::string_view name);
/// Puts `count` rows at row `first` of a dataset that has grown to at least first + count.
void writeRows(hid_t dataset, hid_t memoryType, const void* values, const std::vector<hsize_t>& extents, hsize_t first,
               hsize_t count, std::string_view name);

/// Grows the dataset `name` of `group` to first + count rows and fills the new ones.
void appendRows(hid_t group, const std::string& name, hid_t memoryType, const void* values, std::size_t rank,
                hsize_t first, hsize_t count);

/// `raw`, asUtf8(), in `bytes` bytes, zeros behind; longer text ends at a whole character.
std::string fixedText(std::string_view raw, std::size_t bytes);

}  // namespace linscope

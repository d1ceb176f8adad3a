#include "core/io/run_objects.h"

#include <hdf5_hl.h>

#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "core/options/utf8.h"

namespace linscope {

namespace {

void putAttribute(hid_t object, const char* name, hid_t type, hid_t space, const void* value) {
    const Hdf5Handle attribute =
        hdf5Own(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "make attribute", name);
    hdf5Check(H5Awrite(attribute.id(), type, value), "write attribute", name);
}

Hdf5Handle scalarSpace() {
    return hdf5Own(H5Screate(H5S_SCALAR), H5Sclose, "make", "scalar space");
}

}  // namespace

void writeAttribute(hid_t object, const char* name, std::string_view text) {
    const std::string whole = asUtf8(text);
    const Hdf5Handle type = hdf5StringType(whole.size());
    const std::string value = fixedText(whole, std::max<std::size_t>(whole.size(), 1));
    putAttribute(object, name, type.id(), scalarSpace().id(), value.data());
}

void writeAttribute(hid_t object, const char* name, const std::vector<std::string>& texts) {
    std::size_t width = 1;
    for (const std::string& text : texts) width = std::max(width, text.size());
    std::string values;
    for (const std::string& text : texts) values += fixedText(text, width);
    const hsize_t count = texts.size();
    const Hdf5Handle space = hdf5Own(H5Screate_simple(1, &count, nullptr), H5Sclose, "make space of", name);
    putAttribute(object, name, hdf5StringType(width).id(), space.id(), values.data());
}

void writeAttribute(hid_t object, const char* name, std::int64_t value) {
    putAttribute(object, name, H5T_NATIVE_INT64, scalarSpace().id(), &value);
}

void writeAttribute(hid_t object, const char* name, const std::vector<std::int64_t>& values) {
    const hsize_t count = values.size();
    const Hdf5Handle space = hdf5Own(H5Screate_simple(1, &count, nullptr), H5Sclose, "make space of", name);
    putAttribute(object, name, H5T_NATIVE_INT64, space.id(), values.data());
}

void writeAttribute(hid_t object, const char* name, double value) {
    putAttribute(object, name, H5T_NATIVE_DOUBLE, scalarSpace().id(), &value);
}

Hdf5Handle openGroup(hid_t parent, const std::string& path) {
    return hdf5Own(H5Gopen2(parent, path.c_str(), H5P_DEFAULT), H5Gclose, "open group", path);
}

Hdf5Handle openDataset(hid_t parent, const std::string& path) {
    return hdf5Own(H5Dopen2(parent, path.c_str(), H5P_DEFAULT), H5Dclose, "open dataset", path);
}

Hdf5Handle makeGroup(hid_t parent, const std::string& path) {
    const Hdf5Handle links = hdf5Own(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "make", "link list");
    H5Pset_create_intermediate_group(links.id(), 1);
    return hdf5Own(H5Gcreate2(parent, path.c_str(), links.id(), H5P_DEFAULT, H5P_DEFAULT), H5Gclose, "make group",
                   path);
}

Hdf5Handle makeDataset(hid_t group, const schema::Column& column, const DatasetLayout& layout) {
    const Hdf5Handle creation = hdf5Own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make", "creation list");
    // Without times, equal runs make equal files, and a flush touches fewer blocks.
    H5Pset_obj_track_times(creation.id(), 0);
    std::vector<hsize_t> maximum = layout.shape;
    if (layout.chunk.empty()) {
        H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_EARLY);
    } else {
        if (layout.shape[0] == 0) maximum[0] = H5S_UNLIMITED;
        hdf5Check(H5Pset_chunk(creation.id(), static_cast<int>(layout.chunk.size()), layout.chunk.data()),
                  "set chunks of", column.name);
        if (layout.compressed) {
            H5Pset_shuffle(creation.id());
            H5Pset_deflate(creation.id(), 1);
        }
    }
    if (H5Tget_class(layout.type) == H5T_FLOAT) {
        const double missing = std::numeric_limits<double>::quiet_NaN();
        H5Pset_fill_value(creation.id(), H5T_NATIVE_DOUBLE, &missing);
    }
    const Hdf5Handle space =
        hdf5Own(H5Screate_simple(static_cast<int>(layout.shape.size()), layout.shape.data(), maximum.data()), H5Sclose,
                "make space of", column.name);
    Hdf5Handle dataset =
        hdf5Own(H5Dcreate2(group, column.name, layout.type, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                H5Dclose, "make dataset", column.name);
    writeAttribute(dataset.id(), "units", column.unit);
    writeAttribute(dataset.id(), "long_name", column.longName);
    return dataset;
}

void makeScale(hid_t dataset, const char* name) {
    hdf5Check(H5DSset_scale(dataset, name), "make scale", name);
}

void attachScale(hid_t dataset, hid_t scale, unsigned axis) {
    hdf5Check(H5DSattach_scale(dataset, scale, axis), "attach scale", "to a dataset");
}

std::vector<hsize_t> extentsOf(hid_t dataset, std::size_t rank, std::string_view name) {
    const Hdf5Handle space = hdf5Own(H5Dget_space(dataset), H5Sclose, "look at", name);
    const int found = H5Sget_simple_extent_ndims(space.id());
    require(found == static_cast<int>(rank), "run file", "\"{}\" must have {} dimensions, but it has {}", name, rank,
            found);
    std::vector<hsize_t> extents(rank);
    H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr);
    return extents;
}

void setRows(hid_t dataset, std::vector<hsize_t> extents, hsize_t rows, std::string_view name) {
    extents[0] = rows;
    hdf5Check(H5Dset_extent(dataset, extents.data()), "resize", name);
}

void writeRows(hid_t dataset, hid_t memoryType, const void* values, const std::vector<hsize_t>& extents, hsize_t first,
               hsize_t count, std::string_view name) {
    std::vector<hsize_t> start(extents.size(), 0), size = extents;
    start[0] = first;
    size[0] = count;
    const Hdf5Handle file = hdf5Own(H5Dget_space(dataset), H5Sclose, "look at", name);
    hdf5Check(H5Sselect_hyperslab(file.id(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr), "select",
              name);
    const Hdf5Handle memory =
        hdf5Own(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), H5Sclose, "make space of", name);
    hdf5Check(H5Dwrite(dataset, memoryType, memory.id(), file.id(), H5P_DEFAULT, values), "write", name);
}

void appendRows(hid_t group, const std::string& name, hid_t memoryType, const void* values, std::size_t rank,
                hsize_t first, hsize_t count) {
    const Hdf5Handle dataset = openDataset(group, name);
    const std::vector<hsize_t> extents = extentsOf(dataset.id(), rank, name);
    setRows(dataset.id(), extents, first + count, name);
    writeRows(dataset.id(), memoryType, values, extents, first, count, name);
}

std::string fixedText(std::string_view raw, std::size_t bytes) {
    const std::string text = asUtf8(raw);
    std::size_t length = std::min(text.size(), bytes);
    if (length < text.size())
        while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
    std::string fixed = text.substr(0, length);
    fixed.resize(bytes, '\0');
    return fixed;
}

}  // namespace linscope

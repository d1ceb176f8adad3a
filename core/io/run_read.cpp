#include "core/io/run_read.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "core/io/run_file.h"
#include "core/io/run_schema.h"
#include "core/io/storage.h"
#include "core/tensor/tensor.h"

namespace linscope {

namespace {

// Deflate cannot shrink to less than this part: more than that times the file's size cannot be in it.
constexpr std::uint64_t kGreatestRatio = 1040;
constexpr std::uint64_t kGreatestText = 1 << 24;
// Of what does not agree with its checksum, since another program may be writing it. HDF5 waits 1 ns before the second,
// then twice as long each time: some 20 ms in all, where its own 100 attempts would never end.
constexpr unsigned kReadAttempts = 24;
constexpr std::int64_t kGreatestLanes = 64, kGreatestExtent = 1 << 24;

Hdf5Handle openFile(const std::filesystem::path& path) {
    const Hdf5Handle access = hdf5Own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make", "file access list");
    // Neither hindered by the locks of other programs nor hindering them.
    H5Pset_file_locking(access.id(), false, true);
    hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id());
    if (id < 0) {
        H5Pset_metadata_read_attempts(access.id(), kReadAttempts);
        const hid_t followed = H5Fopen(path.c_str(), H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access.id());
        if (followed >= 0) return {followed, H5Fclose};
        id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id());  // for its reason
    }
    return hdf5Own(id, H5Fclose, "open", path.string());
}

std::uint64_t littleEndian(const std::byte* bytes) {
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    return value;
}

}  // namespace

void checkIsRunFile(const std::filesystem::path& path) {
    const std::string name = path.empty() ? "\"\"" : path.string();
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    require(std::filesystem::status_known(status), "run file", "{} must be a run file, but: {}", name, error.message());
    require(std::filesystem::exists(status), "run file", "{} must be a run file, but there is no such file", name);
    require(std::filesystem::is_regular_file(status), "run file", "{} must be a run file, but it is {}", name,
            std::filesystem::is_directory(status) ? "a folder" : "no file");
    const StorageFile file(path, StorageFile::Mode::Read);
    std::array<std::byte, 48> head{};
    const std::size_t there = file.read(0, head);
    const std::uint64_t size = file.size();  // after the head: a file that is being written grows before it says so
    require(there > 0, "run file", "{} must be a run file, but it is empty", name);
    constexpr std::array<unsigned char, 8> signature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    require(std::memcmp(head.data(), signature.data(), std::min(there, signature.size())) == 0, "run file",
            "{} must be a run file, but it is not an HDF5 file", name);
    require(there == head.size(), "run file", "{} must be a whole run file, but it is truncated after {} bytes", name,
            there);
    // Version 3 of the superblock, which every run file has, holds the end of the file at byte 28.
    if (head[8] == std::byte{3}) {
        const std::uint64_t end = littleEndian(head.data() + 28);
        require(end <= size || end > (std::uint64_t{1} << 60), "run file",
                "{} must be a whole run file, but it is truncated: {} of {} bytes are there", name, size, end);
    }
}

RunInput::RunInput(const std::filesystem::path& path)
    : m_name(path.string()), m_bytes(std::filesystem::file_size(path)), m_file(openFile(path)) {
    const htri_t marked = H5Aexists(m_file.id(), "linscope_schema");
    require(marked > 0, "run file", "{} must be a run file, but it is an HDF5 file that Linscope did not write",
            m_name);
    const std::int64_t schema = integerAttribute("/", "linscope_schema");
    require(schema >= 1, "run file", "{} must have a schema from 1 on, but it says {}", m_name, schema);
    require(schema <= kRunFileSchema, "run file",
            "{} must be of schema {} or older, but it was written by schema {}; this program reads up to {}: "
            "update Linscope",
            m_name, kRunFileSchema, schema, kRunFileSchema);
}

bool RunInput::has(const std::string& path) const {
    // H5Lexists asks for the last step alone, so every step before it is asked for as well.
    for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1))
        if (H5Lexists(m_file.id(), path.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
    return H5Lexists(m_file.id(), path.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> RunInput::children(const std::string& group) const {
    require(has(group), "run file", "{} must have \"{}\", but it is missing", m_name, group);
    const Hdf5Handle handle = hdf5Own(H5Gopen2(m_file.id(), group.c_str(), H5P_DEFAULT), H5Gclose, "open", group);
    std::vector<std::string> names;
    const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
        static_cast<std::vector<std::string>*>(list)->emplace_back(name);
        return 0;
    };
    hdf5Check(H5Literate(handle.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names), "list", group);
    return names;
}

Hdf5Handle RunInput::open(const std::string& dataset, int rank, H5T_class_t kind,
                          std::vector<std::uint64_t>& extents) const {
    require(has(dataset), "run file", "{} must have \"{}\", but it is missing", m_name, dataset);
    Hdf5Handle handle =
        hdf5Own(H5Dopen2(m_file.id(), dataset.c_str(), H5P_DEFAULT), H5Dclose, "open as a dataset", dataset);
    const Hdf5Handle type = hdf5Own(H5Dget_type(handle.id()), H5Tclose, "look at", dataset);
    require(kind == H5T_NO_CLASS || H5Tget_class(type.id()) == kind, "run file",
            "{}: \"{}\" must hold {}, but it holds something else", m_name, dataset,
            kind == H5T_INTEGER ? "integers"
            : kind == H5T_FLOAT ? "reals"
                                : "texts");
    require(kind != H5T_STRING || H5Tis_variable_str(type.id()) == 0, "run file",
            "{}: \"{}\" must hold texts of fixed length, but their length varies", m_name, dataset);
    const Hdf5Handle space = hdf5Own(H5Dget_space(handle.id()), H5Sclose, "look at", dataset);
    const int found = H5Sget_simple_extent_ndims(space.id());
    require(found == rank, "run file", "{}: \"{}\" must have {} dimensions, but it has {}", m_name, dataset, rank,
            found);
    std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
    H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr);
    extents.assign(sizes.begin(), sizes.end());
    return handle;
}

std::vector<std::uint64_t> RunInput::extents(const std::string& dataset, int rank) const {
    std::vector<std::uint64_t> sizes;
    open(dataset, rank, H5T_NO_CLASS, sizes);
    return sizes;
}

std::uint64_t RunInput::elements(const std::string& dataset, const std::vector<std::uint64_t>& extents,
                                 std::uint64_t bytesEach) const {
    const std::uint64_t limit = m_bytes * kGreatestRatio / std::max<std::uint64_t>(bytesEach, 1);
    std::uint64_t count = 1;
    for (const std::uint64_t extent : extents) {
        if (extent == 0) return 0;
        require(count <= limit / extent, "run file",
                "{}: \"{}\" must fit into the file's {} bytes, but it claims more; the file is damaged", m_name,
                dataset, m_bytes);
        count *= extent;
    }
    return count;
}

void RunInput::readSlab(const std::string& dataset, std::uint64_t first, std::uint64_t rows,
                        const std::vector<std::uint64_t>& shape, H5T_class_t kind, hid_t memoryType,
                        std::uint64_t bytesEach, void* (*take)(void*, std::uint64_t), void* target) const {
    std::vector<std::uint64_t> found;
    const Hdf5Handle handle = open(dataset, static_cast<int>(shape.size()) + 1, kind, found);
    require(first <= found[0] && rows <= found[0] - first, "run file", "{}: \"{}\" must have {} rows, but it has {}",
            m_name, dataset, first + rows, found[0]);
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
        require(found[axis + 1] == shape[axis], "run file", "{}: \"{}\" must have extent {} along axis {}, but has {}",
                m_name, dataset, shape[axis], axis + 1, found[axis + 1]);
    std::vector<hsize_t> start(found.size(), 0), size(found.begin(), found.end());
    start[0] = first;
    size[0] = rows;
    const std::uint64_t count = elements(dataset, {size.begin(), size.end()}, bytesEach);
    void* memory = take(target, count);
    if (count == 0) return;
    const Hdf5Handle file = hdf5Own(H5Dget_space(handle.id()), H5Sclose, "look at", dataset);
    hdf5Check(H5Sselect_hyperslab(file.id(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr), "select",
              dataset);
    const Hdf5Handle slab = hdf5Own(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), H5Sclose,
                                    "make space of", dataset);
    hdf5Check(H5Dread(handle.id(), memoryType, slab.id(), file.id(), H5P_DEFAULT, memory), "read", dataset);
}

namespace {

/// What texts of `width` bytes of that type are read as: of its own character set, ASCII from another program too,
/// which HDF5 converts to no other.
Hdf5Handle readable(const Hdf5Handle& type, std::size_t width) {
    Hdf5Handle text = hdf5StringType(width);
    hdf5Check(H5Tset_cset(text.id(), H5Tget_cset(type.id())), "look at", "a text");
    return text;
}

template <typename T>
void* takeVector(void* vector, std::uint64_t count) {
    auto& values = *static_cast<std::vector<T>*>(vector);
    values.resize(count);
    return values.data();
}

std::vector<std::uint64_t> behindFirst(std::vector<std::uint64_t> extents) {
    extents.erase(extents.begin());
    return extents;
}

}  // namespace

std::vector<std::int64_t> RunInput::integers(const std::string& dataset, int rank, std::uint64_t rows) const {
    std::vector<std::int64_t> values;
    readSlab(dataset, 0, rows, behindFirst(extents(dataset, rank)), H5T_INTEGER, H5T_NATIVE_INT64, 8,
             takeVector<std::int64_t>, &values);
    return values;
}

std::vector<double> RunInput::reals(const std::string& dataset, int rank, std::uint64_t rows) const {
    std::vector<double> values;
    readSlab(dataset, 0, rows, behindFirst(extents(dataset, rank)), H5T_FLOAT, H5T_NATIVE_DOUBLE, 8, takeVector<double>,
             &values);
    return values;
}

std::vector<float> RunInput::floatRow(const std::string& dataset, std::uint64_t row,
                                      const std::vector<std::uint64_t>& shape) const {
    std::vector<float> values;
    readSlab(dataset, row, 1, shape, H5T_FLOAT, H5T_NATIVE_FLOAT, 4, takeVector<float>, &values);
    return values;
}

std::vector<std::int32_t> RunInput::intRow(const std::string& dataset, std::uint64_t row,
                                           const std::vector<std::uint64_t>& shape) const {
    std::vector<std::int32_t> values;
    readSlab(dataset, row, 1, shape, H5T_INTEGER, H5T_NATIVE_INT32, 4, takeVector<std::int32_t>, &values);
    return values;
}

std::vector<std::string> RunInput::texts(const std::string& dataset, std::uint64_t rows) const {
    std::vector<std::uint64_t> found;
    Hdf5Handle type;
    {
        const Hdf5Handle handle = open(dataset, 1, H5T_STRING, found);
        type = hdf5Own(H5Dget_type(handle.id()), H5Tclose, "look at", dataset);
    }
    const std::size_t width = H5Tget_size(type.id());
    require(width > 0 && width <= kGreatestText, "run file", "{}: \"{}\" must hold short texts, but has {} bytes each",
            m_name, dataset, width);
    elements(dataset, {rows, width}, 1);
    const Hdf5Handle memoryType = readable(type, width);
    std::vector<char> bytes(rows * width);
    const auto keep = [](void* memory, std::uint64_t) { return memory; };
    readSlab(dataset, 0, rows, {}, H5T_STRING, memoryType.id(), width, keep, bytes.data());
    std::vector<std::string> values;
    for (std::uint64_t row = 0; row < rows; ++row) {
        const char* text = bytes.data() + row * width;
        values.emplace_back(text, strnlen(text, width));
    }
    return values;
}

std::string RunInput::textAttribute(const std::string& object, const char* name) const {
    const Hdf5Handle attribute = hdf5Own(H5Aopen_by_name(m_file.id(), object.c_str(), name, H5P_DEFAULT, H5P_DEFAULT),
                                         H5Aclose, "find the attribute", object + ":" + name);
    const Hdf5Handle type = hdf5Own(H5Aget_type(attribute.id()), H5Tclose, "look at", name);
    const Hdf5Handle space = hdf5Own(H5Aget_space(attribute.id()), H5Sclose, "look at", name);
    const std::size_t size = H5Tget_size(type.id());
    require(H5Tget_class(type.id()) == H5T_STRING && H5Tis_variable_str(type.id()) == 0 &&
                H5Sget_simple_extent_npoints(space.id()) == 1 && size <= kGreatestText,
            "run file", "{}: attribute \"{}\" of \"{}\" must be one text of fixed length, but it is not", m_name, name,
            object);
    std::string text(size, '\0');
    hdf5Check(H5Aread(attribute.id(), readable(type, size).id(), text.data()), "read attribute", name);
    text.resize(strnlen(text.data(), size));
    return text;
}

std::string RunInput::rootText(const char* name) const {
    return H5Aexists(m_file.id(), name) > 0 ? textAttribute("/", name) : std::string();
}

std::int64_t RunInput::integerAttribute(const std::string& object, const char* name) const {
    const Hdf5Handle attribute = hdf5Own(H5Aopen_by_name(m_file.id(), object.c_str(), name, H5P_DEFAULT, H5P_DEFAULT),
                                         H5Aclose, "find the attribute", object + ":" + name);
    const Hdf5Handle type = hdf5Own(H5Aget_type(attribute.id()), H5Tclose, "look at", name);
    const Hdf5Handle space = hdf5Own(H5Aget_space(attribute.id()), H5Sclose, "look at", name);
    require(H5Tget_class(type.id()) == H5T_INTEGER && H5Sget_simple_extent_npoints(space.id()) == 1, "run file",
            "{}: attribute \"{}\" of \"{}\" must be one integer, but it is not", m_name, name, object);
    std::int64_t value = 0;
    hdf5Check(H5Aread(attribute.id(), H5T_NATIVE_INT64, &value), "read attribute", name);
    return value;
}

std::vector<std::int64_t> RunInput::integersAttribute(const std::string& object, const char* name,
                                                      std::int64_t most) const {
    const Hdf5Handle attribute = hdf5Own(H5Aopen_by_name(m_file.id(), object.c_str(), name, H5P_DEFAULT, H5P_DEFAULT),
                                         H5Aclose, "find the attribute", object + ":" + name);
    const Hdf5Handle type = hdf5Own(H5Aget_type(attribute.id()), H5Tclose, "look at", name);
    const Hdf5Handle space = hdf5Own(H5Aget_space(attribute.id()), H5Sclose, "look at", name);
    const std::int64_t count = H5Sget_simple_extent_npoints(space.id());
    require(H5Tget_class(type.id()) == H5T_INTEGER && count >= 1 && count <= most, "run file",
            "{}: attribute \"{}\" of \"{}\" must be 1 to {} integers, but it is not", m_name, name, object, most);
    std::vector<std::int64_t> values(static_cast<std::size_t>(count));
    hdf5Check(H5Aread(attribute.id(), H5T_NATIVE_INT64, values.data()), "read attribute", name);
    return values;
}

std::uint64_t commonRows(const RunInput& input, const std::string& group, const std::vector<std::string>& columns) {
    std::uint64_t rows = input.extents(group + "/" + schema::kStep.name, 1)[0];
    for (const std::string& column : columns) rows = std::min(rows, input.extents(group + "/" + column, 1)[0]);
    return rows;
}

namespace {

std::int64_t extentOf(const RunInput& input, const std::string& scale) {
    const std::uint64_t extent = input.extents(scale, 1)[0];
    require(extent >= 1 && extent <= static_cast<std::uint64_t>(kGreatestExtent), "run file",
            "\"{}\" must have 1 to {} entries, but it has {}", scale, kGreatestExtent, extent);
    return static_cast<std::int64_t>(extent);
}

std::int64_t attributeBetween(const RunInput& input, const std::string& object, const char* name, std::int64_t low,
                              std::int64_t high) {
    const std::int64_t value = input.integerAttribute(object, name);
    require(value >= low && value <= high, "run file", "attribute \"{}\" of \"{}\" must be {} to {}, but it is {}",
            name, object, low, high, value);
    return value;
}

/// Extents of the parameters in a lane's snapshots, each as many numbers as its dataset has in a row.
std::map<std::string, std::vector<std::int64_t>> readParameterShapes(const RunInput& input, const std::string& group) {
    std::map<std::string, std::vector<std::int64_t>> shapes;
    for (const std::string& name : input.children(group)) {
        if (!name.starts_with(schema::kParameterPrefix)) continue;  // a scale
        const std::string path = group + "/" + name;
        const std::uint64_t row = input.extents(path, 2)[1];
        const std::vector<std::int64_t> shape = input.integersAttribute(path, schema::kShape, Shape::kMaxRank);
        std::uint64_t left = row;
        for (const std::int64_t extent : shape) {
            const bool fits = extent >= 1 && left > 0 && left % static_cast<std::uint64_t>(extent) == 0;
            left = fits ? left / static_cast<std::uint64_t>(extent) : 0;
        }
        require(left == 1, "run file", "\"{}\" of shape [{}] must have as many numbers in a row, but it has {}", path,
                fmt::join(shape, ", "), row);
        shapes[name] = shape;
    }
    return shapes;
}

}  // namespace

RunShape readRunShape(const RunInput& input) {
    RunShape shape;
    const std::size_t lanes = input.children("lanes").size();
    require(lanes >= 1 && lanes <= static_cast<std::size_t>(kGreatestLanes), "run file",
            "a run must have 1 to {} lanes, but it has {}", kGreatestLanes, lanes);
    for (std::size_t index = 0; index < lanes; ++index) {
        LaneShape lane;
        lane.name = input.textAttribute(schema::lane(index), "name");
        lane.mechanism = input.textAttribute(schema::lane(index), "mechanism");
        lane.parameters = input.integerAttribute(schema::lane(index), "parameters");
        lane.labels = input.children(schema::projections(index));
        for (const std::string& label : lane.labels) {
            const std::string group = schema::projections(index) + "/" + label;
            ProjectionShape& projection = lane.projections[label];
            projection.name = input.textAttribute(group, "name");
            projection.layer = static_cast<int>(attributeBetween(input, group, "layer", -1, kGreatestExtent));
            projection.head = static_cast<int>(attributeBetween(input, group, "head", -1, kGreatestExtent));
            projection.slots = attributeBetween(input, group, "slots", 1, kGreatestExtent);
            projection.length = attributeBetween(input, group, "length", 1, kGreatestExtent);
        }
        lane.deviceCheck = input.has(schema::deviceCheck(index));
        const std::string snapshots = schema::snapshots(index);
        lane.samples = extentOf(input, snapshots + "/sample");
        lane.heads = extentOf(input, snapshots + "/head");
        lane.length = extentOf(input, snapshots + "/token");
        lane.headWidth = extentOf(input, snapshots + "/channel");
        lane.layers = static_cast<std::int64_t>(input.children(snapshots + "/layers").size());
        if (input.has(schema::snapshotParameters(index)))
            lane.attentionParameters = readParameterShapes(input, schema::snapshotParameters(index));
        shape.lanes.push_back(std::move(lane));
    }
    return shape;
}

}  // namespace linscope

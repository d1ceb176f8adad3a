#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/io/storage.h"

namespace linscope {

namespace {

using nlohmann::json;

constexpr std::uint64_t kGreatestHeader = 100'000'000;  // as the format's own reader has it
constexpr std::size_t kAlignment = 64;

struct Entry {
    std::string name;
    DType type = DType::F32;
    std::vector<std::int64_t> extents;
    std::uint64_t begin = 0, end = 0;
};

Shape shapeOf(const std::vector<std::int64_t>& e) {
    switch (e.size()) {
        case 0:
            return Shape{};
        case 1:
            return Shape{e[0]};
        case 2:
            return Shape{e[0], e[1]};
        case 3:
            return Shape{e[0], e[1], e[2]};
        case 4:
            return Shape{e[0], e[1], e[2], e[3]};
        default:
            return Shape{e[0], e[1], e[2], e[3], e[4]};
    }
}

Entry entryOf(const std::string& file, const std::string& name, const json& value, std::uint64_t dataBytes) {
    Entry entry;
    entry.name = name;
    const auto wellFormed = [&](bool condition, const char* what) {
        require(condition, "checkpoint", "{}: tensor \"{}\" must have {}, but it has not", file, name, what);
    };
    wellFormed(value.is_object() && value.contains("dtype") && value["dtype"].is_string() && value.contains("shape") &&
                   value["shape"].is_array() && value.contains("data_offsets") && value["data_offsets"].is_array() &&
                   value["data_offsets"].size() == 2,
               "dtype, shape and two data_offsets");
    const std::string type = value["dtype"].get<std::string>();
    wellFormed(type == "F32" || type == "F64" || type == "I32", "the type F32, F64 or I32");
    entry.type = type == "F64" ? DType::F64 : type == "I32" ? DType::I32 : DType::F32;
    wellFormed(value["shape"].size() <= static_cast<std::size_t>(Shape::kMaxRank), "at most five extents");
    std::uint64_t bytes = static_cast<std::uint64_t>(byteSize(entry.type));
    for (const json& extent : value["shape"]) {
        wellFormed(extent.is_number_unsigned(), "extents that are not negative");
        const std::uint64_t size = extent.get<std::uint64_t>();
        wellFormed(size == 0 || bytes <= dataBytes / size, "a shape that fits into the file");
        bytes *= size;
        entry.extents.push_back(static_cast<std::int64_t>(size));
    }
    for (const json& offset : value["data_offsets"])
        wellFormed(offset.is_number_unsigned(), "offsets that are not negative");
    entry.begin = value["data_offsets"][0].get<std::uint64_t>();
    entry.end = value["data_offsets"][1].get<std::uint64_t>();
    wellFormed(entry.begin <= entry.end && entry.end <= dataBytes, "offsets within the file");
    wellFormed(entry.end - entry.begin == bytes, "offsets that agree with its shape");
    return entry;
}

/// What the header says, all of it within the file.
struct Contents {
    std::map<std::string, std::string> metadata;
    std::vector<Entry> entries;  // one behind the other, from dataBegin to the file's end
    std::uint64_t dataBegin = 0;
};

StorageFile openFile(const std::filesystem::path& path) {
    std::error_code ignored;
    require(std::filesystem::is_regular_file(path, ignored), "checkpoint", "{} must be a file, but there is none",
            path.string());
    return {path, StorageFile::Mode::Read};
}

Contents contentsOf(const StorageFile& file) {
    const std::string name = file.path().string();
    Contents contents;
    const std::uint64_t size = file.size();
    require(size >= 8, "checkpoint", "{} must be a safetensors file, but it has {} bytes", name, size);
    std::byte lengthBytes[8];
    file.read(0, lengthBytes);
    std::uint64_t length = 0;
    for (std::size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(lengthBytes[i]);
    require(length >= 2 && length <= kGreatestHeader, "checkpoint",
            "{} must be a safetensors file, but its header would have {} bytes", name, length);
    require(length <= size - 8, "checkpoint", "{} must be whole, but it is truncated in its header", name);
    std::string text(length, '\0');
    file.read(8, std::as_writable_bytes(std::span(text)));
    const json header = json::parse(text, nullptr, false);
    require(header.is_object(), "checkpoint", "{} must be a safetensors file, but its header is no JSON object", name);

    contents.dataBegin = 8 + length;
    const std::uint64_t dataBytes = size - contents.dataBegin;
    std::vector<Entry>& entries = contents.entries;
    for (const auto& [key, value] : header.items()) {
        if (key != "__metadata__") {
            entries.push_back(entryOf(name, key, value, dataBytes));
            continue;
        }
        require(value.is_object(), "checkpoint", "{}: __metadata__ must map names to texts, but does not", name);
        for (const auto& [field, content] : value.items()) {
            require(content.is_string(), "checkpoint", "{}: __metadata__ must map names to texts, but does not", name);
            contents.metadata[field] = content.get<std::string>();
        }
    }
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    std::uint64_t covered = 0;
    for (const Entry& entry : entries) {
        require(entry.begin == covered, "checkpoint", "{}: the tensors must lie one behind the other, but \"{}\" {}",
                name, entry.name, entry.begin < covered ? "overlaps the one before" : "leaves a gap");
        covered = entry.end;
    }
    require(covered == dataBytes, "checkpoint", "{} must end with its last tensor, but {} of {} bytes belong to none",
            name, dataBytes - covered, dataBytes);
    return contents;
}

}  // namespace

void checkSafetensors(const std::filesystem::path& path) {
    (void)contentsOf(openFile(path));
}

std::map<std::string, std::string> readSafetensorsMetadata(const std::filesystem::path& path) {
    return contentsOf(openFile(path)).metadata;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : m_path(path) {
    const StorageFile file = openFile(path);
    Contents contents = contentsOf(file);
    m_metadata = std::move(contents.metadata);
    std::size_t packed = 0;
    for (const Entry& entry : contents.entries)
        packed += (entry.end - entry.begin + kAlignment - 1) / kAlignment * kAlignment;

    // Every tensor gets an aligned place of its own, whatever its place in the file.
    m_bytes.resize(packed + kAlignment);
    auto address = reinterpret_cast<std::uintptr_t>(m_bytes.data());
    std::size_t offset = (kAlignment - address % kAlignment) % kAlignment;
    for (const Entry& entry : contents.entries) {
        const std::size_t bytes = entry.end - entry.begin;
        std::byte* place = m_bytes.data() + offset;
        const std::size_t found = file.read(contents.dataBegin + entry.begin, {place, bytes});
        require(found == bytes, "checkpoint", "{} must be whole, but it became shorter while it was read",
                path.string());
        m_tensors.emplace(entry.name, Tensor(place, shapeOf(entry.extents), entry.type));
        offset += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
}

std::vector<std::string> SafetensorsFile::names() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : m_tensors) names.push_back(name);
    return names;
}

Tensor SafetensorsFile::tensor(const std::string& name) const {
    const auto found = m_tensors.find(name);
    require(found != m_tensors.end(), "checkpoint", "{} must have the tensor \"{}\", but it is missing",
            m_path.string(), name);
    return found->second;
}

}  // namespace linscope

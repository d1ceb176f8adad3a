#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "core/base/error.h"
#include "core/io/checkpoint.h"
#include "core/io/storage.h"

namespace linscope {

namespace {

const char* nameOf(DType type) {
    switch (type) {
        case DType::F64:
            return "F64";
        case DType::I32:
            return "I32";
        case DType::BF16:
            return "BF16";
        case DType::F32:
            break;
    }
    return "F32";
}

nlohmann::ordered_json headerOf(const std::vector<const NamedTensor*>& tensors,
                                const std::map<std::string, std::string>& metadata) {
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::int64_t offset = 0;
    for (const NamedTensor* entry : tensors) {
        const Shape& shape = entry->tensor.shape();
        std::vector<std::int64_t> extents;
        for (int axis = 0; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
        const std::int64_t end = offset + entry->tensor.bytes();
        header[entry->name] = {
            {"dtype", nameOf(entry->tensor.type())}, {"shape", extents}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    return header;
}

void writeAll(StorageFile& file, const std::vector<const NamedTensor*>& tensors,
              const std::map<std::string, std::string>& metadata) {
    std::string header = headerOf(tensors, metadata).dump();
    header.resize((header.size() + 7) / 8 * 8, ' ');  // the data begins at a multiple of 8
    std::uint64_t total = 8 + header.size();
    for (const NamedTensor* entry : tensors) total += static_cast<std::uint64_t>(entry->tensor.bytes());
    file.reserve(0, total);

    std::byte length[8];
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<std::byte>(header.size() >> (8 * i) & 0xff);
    file.write(0, length);
    file.write(8, std::as_bytes(std::span(header)));
    std::uint64_t offset = 8 + header.size();
    for (const NamedTensor* entry : tensors) {
        const auto bytes = static_cast<std::size_t>(entry->tensor.bytes());
        file.write(offset, {static_cast<const std::byte*>(entry->tensor.raw()), bytes});
        offset += bytes;
    }
    file.sync();
}

}  // namespace

void writeSafetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                      const std::map<std::string, std::string>& metadata) {
    std::set<std::string> names;
    std::vector<const NamedTensor*> sorted;
    for (const NamedTensor& entry : tensors) {
        require(entry.name != "__metadata__" && names.insert(entry.name).second, "checkpoint",
                "tensors must have names of their own, but \"{}\" is taken", entry.name);
        sorted.push_back(&entry);
    }
    // Wide types first, so that every tensor begins at a multiple of its own width.
    std::stable_sort(sorted.begin(), sorted.end(), [](const NamedTensor* a, const NamedTensor* b) {
        return byteSize(a->tensor.type()) > byteSize(b->tensor.type());
    });

    std::filesystem::path aside = path;
    aside += ".part";
    try {
        StorageFile file(aside, StorageFile::Mode::Create);
        writeAll(file, sorted, metadata);
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove(aside, ignored);
        throw;
    }
    renameDurably(aside, path);
}

}  // namespace linscope

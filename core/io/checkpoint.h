#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace linscope {

/// A safetensors file: named tensors (F32, F64 or I32, row-major) and a flat map of strings.
/// Layout: u64 little-endian header length, JSON header, raw data; every safetensors reader opens it.
struct NamedTensor {
    std::string name;
    Tensor tensor;
};

/// Writes aside, syncs, renames: the path holds either the old file or the whole new one.
/// Throws StorageFull (core/base/error.h) when there is no room, Error on anything else.
void writeSafetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                      const std::map<std::string, std::string>& metadata);

/// Reads the header alone. Throws Error as SafetensorsFile does: afterwards all tensors are known to be there.
void checkSafetensors(const std::filesystem::path& path);
/// The same, and what the header says beside the tensors.
std::map<std::string, std::string> readSafetensorsMetadata(const std::filesystem::path& path);

/// A file read back. Throws Error: absent, truncated, not safetensors, offsets that overlap or run past the end.
class SafetensorsFile {
public:
    explicit SafetensorsFile(const std::filesystem::path& path);
    SafetensorsFile(SafetensorsFile&&) = default;  // a copy's tensors would lie in the original
    const std::map<std::string, std::string>& metadata() const { return m_metadata; }
    std::vector<std::string> names() const;
    /// Valid as long as this object. Throws Error naming the tensor when it is absent.
    Tensor tensor(const std::string& name) const;

private:
    std::filesystem::path m_path;
    std::vector<std::byte> m_bytes;
    std::map<std::string, std::string> m_metadata;
    std::map<std::string, Tensor> m_tensors;
};

}  // namespace linscope

#pragma once

#include <filesystem>
#include <string_view>

namespace linscope {

enum class FileKind { Png, Safetensors };

/// The file that a result of this kind is to be written to, where a person asked for `path`: symbolic links are
/// followed, so that a link stays one. Throws Error beginning with [where] unless there is no such file yet, or it is
/// empty or of the same kind: devices, pipes, folders and files of other kinds are never replaced.
std::filesystem::path replaceableFile(const std::filesystem::path& path, FileKind kind, std::string_view where);

/// Throws Error where `path` lies in the folder of a run's checkpoints, which the run alone writes.
void requireOutsideCheckpoints(const std::filesystem::path& path, std::string_view where);

}  // namespace linscope

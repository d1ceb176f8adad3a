#include "core/io/replaceable.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <system_error>

#include "core/base/error.h"
#include "core/io/storage.h"

namespace linscope {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // as the kernel has it

const char* nameOf(FileKind kind) {
    return kind == FileKind::Png ? "a PNG picture" : "a safetensors file";
}

const char* nameOf(fs::file_type type) {
    switch (type) {
        case fs::file_type::directory:
            return "a folder";
        case fs::file_type::character:
        case fs::file_type::block:
            return "a device";
        case fs::file_type::fifo:
            return "a pipe";
        default:
            return "no file";
    }
}

/// Whether the first bytes are those of the kind. A file of safetensors that was cut off is one all the same.
bool isOfKind(const fs::path& path, FileKind kind) {
    std::array<std::byte, 9> head{};
    const std::size_t there = StorageFile(path, StorageFile::Mode::Read).read(0, head);
    if (kind == FileKind::Png) {
        constexpr std::array<unsigned char, 8> signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
        return there >= signature.size() && std::memcmp(head.data(), signature.data(), signature.size()) == 0;
    }
    // The length of the header, less than 2^32, and the brace that opens it.
    const bool small = std::all_of(head.begin() + 4, head.begin() + 8, [](std::byte b) { return b == std::byte{0}; });
    return there == head.size() && small && head[8] == std::byte{'{'};
}

/// Where links lead to, be there a file or not.
fs::path followed(fs::path path, std::string_view where) {
    std::error_code error;
    for (int links = 0; fs::is_symlink(fs::symlink_status(path, error)); ++links) {
        require(links < kMostLinks, where, "{} must name a file, but its links lead to none; choose another name",
                path.string());
        const fs::path target = fs::read_symlink(path, error);
        require(!error, where, "{} must be a link that can be followed, but: {}", path.string(), error.message());
        path = path.parent_path() / target;  // an absolute target stands alone
    }
    return path;
}

}  // namespace

fs::path replaceableFile(const fs::path& path, FileKind kind, std::string_view where) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    const bool exists = fs::exists(status);
    require(!exists || fs::is_regular_file(status), where,
            "{} must be a new file or {} to replace, but it is {}; choose another name", path.string(), nameOf(kind),
            nameOf(status.type()));
    const fs::path target = followed(path, where);
    require(!exists || fs::file_size(target) == 0 || isOfKind(target, kind), where,
            "{} must be a new file or {} to replace, but it is another kind of file; choose another name",
            path.string(), nameOf(kind));
    return target;
}

void requireOutsideCheckpoints(const fs::path& path, std::string_view where) {
    std::error_code error;
    const fs::path whole = fs::weakly_canonical(fs::absolute(path, error).parent_path(), error);
    const bool inside = std::any_of(whole.begin(), whole.end(),
                                    [](const fs::path& part) { return part.extension() == ".checkpoints"; });
    require(!inside, where,
            "{} must lie outside the folders of checkpoints, which runs write, but it is in {}; choose "
            "another place",
            path.string(), whole.string());
}

}  // namespace linscope

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace linscope {

/// An open file of the operating system, closed with this object. Every failure is an Error that names
/// the path; want of room (ENOSPC, EDQUOT) is StorageFull.
class StorageFile {
public:
    /// Create empties what is there already, Make leaves it as it is, and for CreateNew it is an Error.
    enum class Mode { Read, Update, Create, Make, CreateNew };

    StorageFile() = default;
    StorageFile(std::filesystem::path path, Mode mode);
    StorageFile(StorageFile&& other) noexcept;
    StorageFile& operator=(StorageFile&& other) noexcept;
    ~StorageFile();

    const std::filesystem::path& path() const { return m_path; }
    void setPath(std::filesystem::path path) { m_path = std::move(path); }
    std::uint64_t size() const;
    /// Reads what there is of the range; bytes past the end are zero. The count of bytes that were there.
    std::size_t read(std::uint64_t offset, std::span<std::byte> out) const;
    void write(std::uint64_t offset, std::span<const std::byte> bytes);
    /// Takes room for [begin, end) without changing the size; nothing where the file system cannot.
    void reserve(std::uint64_t begin, std::uint64_t end);
    void resize(std::uint64_t size);
    void sync();

    /// Whether path() still names this file: nobody has removed or moved it, or put another in its place.
    bool isAtItsPath() const;
    /// Where it is now, as far as the system tells.
    std::filesystem::path currentPath() const;
    /// A copy of all that is in it, under a new name: Error where that is taken already, or where it cannot be written,
    /// of which nothing is left then.
    StorageFile copyTo(const std::filesystem::path& path) const;

    /// Marks the file as being written, as long as it stays open. False when another one has done so.
    /// Readers are not hindered: the lock is of another kind than those that HDF5 asks for.
    bool lockForWriting();
    /// True while some StorageFile, of any process, holds lockForWriting().
    bool lockedByWriter() const;

private:
    void throwLastError(const char* what) const;
    std::filesystem::path m_path;
    int m_descriptor = -1;
};

/// Free bytes for ordinary users on the file system of `path`, which need not exist yet.
std::uint64_t freeBytesAt(const std::filesystem::path& path);
/// Gives `from` the name `to` and makes that last beyond a loss of power.
void renameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace linscope

#include "core/io/storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/io/run_file.h"

namespace linscope {

namespace {

struct flock wholeFile(short kind) {
    struct flock lock {};
    lock.l_type = kind;
    lock.l_whence = SEEK_SET;
    return lock;
}

[[noreturn]] void throwError(int code, const char* what, const std::filesystem::path& path) {
    if (code == ENOSPC || code == EDQUOT)
        throw StorageFull(fmt::format("[storage] there must be room to {} {}, but the disk is full; free some space",
                                      what, path.string()));
    fail("storage", "could not {} {}: {}", what, path.string(), std::strerror(code));
}

}  // namespace

StorageFile::StorageFile(std::filesystem::path path, Mode mode) : m_path(std::move(path)) {
    const bool makes = mode != Mode::Read && mode != Mode::Update;
    const int flags = mode == Mode::Read ? O_RDONLY : O_RDWR;
    const int making =
        (makes ? O_CREAT : 0) | (mode == Mode::Create ? O_TRUNC : 0) | (mode == Mode::CreateNew ? O_EXCL : 0);
    m_descriptor = ::open(m_path.c_str(), flags | making | O_CLOEXEC, 0644);
    if (m_descriptor < 0) throwLastError(makes ? "create" : "open");
}

StorageFile::StorageFile(StorageFile&& other) noexcept
    : m_path(std::move(other.m_path)), m_descriptor(std::exchange(other.m_descriptor, -1)) {}

StorageFile& StorageFile::operator=(StorageFile&& other) noexcept {
    std::swap(m_path, other.m_path);
    std::swap(m_descriptor, other.m_descriptor);
    return *this;
}

StorageFile::~StorageFile() {
    if (m_descriptor >= 0) ::close(m_descriptor);
}

void StorageFile::throwLastError(const char* what) const {
    throwError(errno, what, m_path);
}

std::uint64_t StorageFile::size() const {
    struct stat status {};
    if (::fstat(m_descriptor, &status) != 0) throwLastError("look at");
    require(S_ISREG(status.st_mode), "storage", "{} must be a file, but it is something else", m_path.string());
    return static_cast<std::uint64_t>(status.st_size);
}

std::size_t StorageFile::read(std::uint64_t offset, std::span<std::byte> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t count =
            ::pread(m_descriptor, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throwLastError("read");
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    std::memset(out.data() + done, 0, out.size() - done);
    return done;
}

void StorageFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count =
            ::pwrite(m_descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throwLastError("write");
        done += static_cast<std::size_t>(count);
    }
}

void StorageFile::reserve(std::uint64_t begin, std::uint64_t end) {
    if (end <= begin) return;
    int status = 0;
    do
        status =
            ::fallocate(m_descriptor, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin), static_cast<off_t>(end - begin));
    while (status != 0 && errno == EINTR);
    if (status != 0 && errno != EOPNOTSUPP && errno != ENOSYS) throwLastError("write");
}

void StorageFile::resize(std::uint64_t size) {
    if (::ftruncate(m_descriptor, static_cast<off_t>(size)) != 0) throwLastError("resize");
}

void StorageFile::sync() {
    if (::fsync(m_descriptor) != 0) throwLastError("write");
}

bool StorageFile::isAtItsPath() const {
    struct stat own {
    }, there{};
    if (::fstat(m_descriptor, &own) != 0) return true;
    // Any other failure tells nothing of the file: a folder that may not be looked into, say.
    if (::stat(m_path.c_str(), &there) != 0) return errno != ENOENT && errno != ENOTDIR;
    return own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

std::filesystem::path StorageFile::currentPath() const {
    std::error_code error;
    const auto link = std::filesystem::path("/proc/self/fd") / std::to_string(m_descriptor);
    const std::filesystem::path target = std::filesystem::read_symlink(link, error);
    return error ? m_path : target;
}

StorageFile StorageFile::copyTo(const std::filesystem::path& path) const {
    StorageFile copy(path, Mode::CreateNew);
    try {
        std::vector<std::byte> part(std::size_t{1} << 20);
        const std::uint64_t all = size();
        for (std::uint64_t at = 0; at < all; at += part.size()) {
            const std::span<std::byte> bytes(part.data(),
                                             static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), all - at)));
            copy.write(at, bytes.first(read(at, bytes)));
        }
        copy.sync();
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove(path, ignored);  // half of it
        throw;
    }
    return copy;
}

bool StorageFile::lockForWriting() {
    struct flock lock = wholeFile(F_WRLCK);
    if (::fcntl(m_descriptor, F_OFD_SETLK, &lock) == 0) return true;
    return errno != EAGAIN && errno != EACCES;  // a file system without locks hinders nobody
}

bool StorageFile::lockedByWriter() const {
    struct flock lock = wholeFile(F_RDLCK);
    return ::fcntl(m_descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

std::uint64_t freeBytesAt(const std::filesystem::path& path) {
    struct statvfs status {};
    const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    if (::statvfs(parent.c_str(), &status) != 0) throwError(errno, "look at", parent);
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

void renameDurably(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) throwError(errno, "rename to", to);
    const std::filesystem::path parent = to.has_parent_path() ? to.parent_path() : std::filesystem::path(".");
    const int folder = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) throwError(errno, "open", parent);
    const int status = ::fsync(folder);
    const int code = errno;
    ::close(folder);
    // Some file systems cannot sync a folder and say EINVAL: the rename stands all the same.
    if (status != 0 && code != EINVAL) throwError(code, "write", parent);
}

}  // namespace linscope

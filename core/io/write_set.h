#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "core/io/storage.h"

namespace linscope {

/// What one flush of a run file changes, held in memory until it is put on the disk all at once.
///
/// HDF5 writes into the set (core/io/write_set_driver.h) and reads its own writes back from it, while the
/// file on the disk stays as it was: closed and whole. commit() then orders the writes so that whoever
/// opens the file between any two of them finds a valid one:
///  1. room for everything is reserved, so that a full disk is found before a byte has changed;
///  2. new blocks go behind the old end of the file, where nothing refers to them yet;
///  3. the superblock announces the new end;
///  4. indices point to the new blocks;
///  5. object headers, which hold the extents of the datasets, grow last and in the order of their addresses.
///
/// A single write is not safe from kill -9 (the system may part it where a page of memory ends, and half a
/// block of metadata fails its checksum), so 2 to 5 run in a process that a kill of this one leaves alone.
class WriteSet {
public:
    /// Nothing changed yet over `base`; nullptr: a file that does not exist yet.
    explicit WriteSet(const StorageFile* base = nullptr);

    void read(std::uint64_t offset, std::span<std::byte> out) const;
    void write(std::uint64_t offset, std::span<const std::byte> bytes);

    /// The file's size as it would be after commit().
    std::uint64_t size() const { return m_size; }
    void setSize(std::uint64_t size) { m_size = size; }
    /// The space in use, which HDF5 moves as it allocates.
    std::uint64_t end() const { return m_end; }
    void setEnd(std::uint64_t end) { m_end = end; }
    /// From here on the old file has nothing: called once HDF5 has read the superblock.
    void setOldEnd(std::uint64_t end) { m_oldEnd = end; }

    /// Puts the changes on `file`. Throws StorageFull when `freeBytes` at its path are too few or the
    /// system says so. May be called again with the same outcome as one call.
    void commit(StorageFile& file, const std::function<std::uint64_t(const std::filesystem::path&)>& freeBytes) const;

private:
    void writeInOrder(StorageFile& file) const;

    const StorageFile* m_base;
    std::uint64_t m_size = 0, m_end = 0, m_oldEnd = 0;
    std::map<std::uint64_t, std::vector<std::byte>> m_blocks;  // disjoint, by offset
};

}  // namespace linscope

#include "core/io/write_set.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/io/unkilled.h"

namespace linscope {

namespace {

// What a flush leaves free, so that the file system's own tables have room to grow as well.
constexpr std::uint64_t kSlackBytes = 64 * 1024;

bool isObjectHeader(const std::vector<std::byte>& block) {
    return block.size() >= 4 && std::memcmp(block.data(), "OHDR", 4) == 0;
}

}  // namespace

WriteSet::WriteSet(const StorageFile* base) : m_base(base) {
    if (m_base) m_size = m_base->size();
}

void WriteSet::read(std::uint64_t offset, std::span<std::byte> out) const {
    if (m_base)
        m_base->read(offset, out);
    else
        std::fill(out.begin(), out.end(), std::byte{0});
    const std::uint64_t end = offset + out.size();
    auto block = m_blocks.upper_bound(offset);
    if (block != m_blocks.begin()) --block;
    for (; block != m_blocks.end() && block->first < end; ++block) {
        const std::uint64_t first = std::max(offset, block->first);
        const std::uint64_t last = std::min<std::uint64_t>(end, block->first + block->second.size());
        if (first < last)
            std::memcpy(out.data() + (first - offset), block->second.data() + (first - block->first), last - first);
    }
}

void WriteSet::write(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    const std::uint64_t end = offset + bytes.size();
    auto block = m_blocks.upper_bound(offset);
    if (block != m_blocks.begin()) --block;
    while (block != m_blocks.end() && block->first < end) {
        const std::uint64_t first = block->first, last = first + block->second.size();
        if (last <= offset) {
            ++block;
            continue;
        }
        if (first <= offset && last >= end) {  // inside what is there: the block keeps its bounds
            std::memcpy(block->second.data() + (offset - first), bytes.data(), bytes.size());
            return;
        }
        if (last > end)
            m_blocks[end] = {block->second.begin() + static_cast<std::ptrdiff_t>(end - first), block->second.end()};
        if (first < offset) {
            block->second.resize(offset - first);
            ++block;
        } else {
            block = m_blocks.erase(block);
        }
    }
    m_blocks[offset] = {bytes.begin(), bytes.end()};
    m_size = std::max(m_size, end);
}

void WriteSet::commit(StorageFile& file,
                      const std::function<std::uint64_t(const std::filesystem::path&)>& freeBytes) const {
    const std::uint64_t now = file.size();
    const std::uint64_t growth = m_size > now ? m_size - now : 0;
    const std::uint64_t room = freeBytes ? freeBytes(file.path()) : freeBytesAt(file.path());
    if (room < growth + kSlackBytes)
        throw StorageFull(
            fmt::format("[run file] {} bytes must be free for {}, but {} are; training can go on when "
                        "there is room",
                        growth + kSlackBytes, file.path().string(), room));
    runUnkilled([&] { writeInOrder(file); });
}

void WriteSet::writeInOrder(StorageFile& file) const {
    file.reserve(m_oldEnd, m_size);
    std::vector<const std::pair<const std::uint64_t, std::vector<std::byte>>*> superblock, indices, headers;
    for (const auto& block : m_blocks) {
        if (block.first >= m_size) continue;  // space that was given back again
        if (block.first >= m_oldEnd)
            file.write(block.first, block.second);
        else
            (block.first == 0 ? superblock : isObjectHeader(block.second) ? headers : indices).push_back(&block);
    }
    if (m_size > file.size()) file.resize(m_size);
    for (const auto& group : {superblock, indices, headers})
        for (const auto* block : group) file.write(block->first, block->second);
}

}  // namespace linscope

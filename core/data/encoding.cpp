#include "core/data/encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "core/options/utf8.h"

namespace linscope {
namespace {

using namespace std::string_view_literals;

struct ByteOrderMark {
    std::string_view bytes;
    std::string_view charset;
};
// The marks of UTF-32 first: that of UTF-32LE begins with that of UTF-16LE.
constexpr ByteOrderMark kForeignMarks[] = {{"\xFF\xFE\0\0"sv, "UTF-32LE"},
                                           {"\0\0\xFE\xFF"sv, "UTF-32BE"},
                                           {"\xFF\xFE"sv, "UTF-16LE"},
                                           {"\xFE\xFF"sv, "UTF-16BE"}};

/// UTF-16 of mostly Latin letters without a mark: every second byte is NUL and hardly another.
std::string_view unmarkedUtf16(std::string_view bytes) {
    const std::string_view head = bytes.substr(0, 4096);
    const std::size_t pairs = head.size() / 2;
    std::size_t even = 0, odd = 0;
    for (std::size_t i = 0; i < pairs; ++i) {
        even += head[2 * i] == 0;
        odd += head[2 * i + 1] == 0;
    }
    const auto most = [&](std::size_t count) { return count * 10 >= pairs * 7; };
    const auto few = [&](std::size_t count) { return count * 20 <= pairs; };
    if (pairs >= 4 && most(odd) && few(even)) return "UTF-16LE";
    if (pairs >= 4 && most(even) && few(odd)) return "UTF-16BE";
    return {};
}

/// Control characters that text does not have, in a sample after `at`: such bytes are no 8-bit text either.
bool looksBinary(std::string_view bytes) {
    const std::string_view head = bytes.substr(0, 4096);
    const auto controls = std::count_if(head.begin(), head.end(), [](unsigned char c) {
        return c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1B;
    });
    return static_cast<std::size_t>(controls) * 50 > head.size();
}

/// Whether there are more well-formed characters beyond ASCII than bytes that are part of none: UTF-8 that was damaged.
/// In 8-bit text they come about by chance alone.
bool mostlyUtf8(std::string_view bytes) {
    std::ptrdiff_t characters = 0, broken = 0;
    while (!bytes.empty()) {
        const std::size_t bad = std::min(findInvalidUtf8(bytes), bytes.size());
        characters += std::count_if(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(bad),
                                    [](unsigned char c) { return c >= 0xC0; });
        broken += bad < bytes.size();
        bytes.remove_prefix(std::min(bad + 1, bytes.size()));
    }
    return characters > broken;
}

/// Whether the letters are mostly those of ASCII, with others among them: the languages that ISO-8859-1 and
/// Windows-1252 are for. Where other scripts have one byte beyond ASCII they have many in a row.
bool mostlyLatin(std::string_view bytes) {
    std::size_t ascii = 0, high = 0, inRows = 0;
    bool before = false;
    for (const unsigned char c : bytes) {
        const bool is = c >= 0x80;
        high += is;
        inRows += is && before;
        ascii += !is && std::isalpha(c) != 0;
        before = is;
    }
    return high <= ascii || 2 * inRows < high;
}

}  // namespace

std::optional<EncodingProblem> encodingProblem(std::string_view bytes) {
    for (const ByteOrderMark& mark : kForeignMarks) {
        if (bytes.starts_with(mark.bytes))
            return EncodingProblem{std::string(mark.charset.substr(0, 6)),
                                   fmt::format("the byte order mark of {} at byte 0", mark.charset),
                                   std::string(mark.charset)};
    }
    if (const auto nul = bytes.find('\0'); nul != std::string_view::npos) {
        if (const auto charset = unmarkedUtf16(bytes); !charset.empty())
            return EncodingProblem{"UTF-16", fmt::format("a NUL byte at byte {}, as in {} text", nul, charset),
                                   std::string(charset)};
        return EncodingProblem{"binary", fmt::format("binary data (a NUL byte at byte {})", nul), ""};
    }
    const auto bad = findInvalidUtf8(bytes);
    if (bad == std::string_view::npos) return std::nullopt;
    const unsigned byte = static_cast<unsigned char>(bytes[bad]);
    if (looksBinary(bytes))
        return EncodingProblem{"binary", fmt::format("binary data (the byte 0x{:02x} at byte {})", byte, bad), ""};
    // A sequence that only the end of the file breaks: a file that was cut off, not another encoding.
    if (byte >= 0xC2 && byte <= 0xF4 && bytes.size() - bad < 4 && bad + 1 < bytes.size() &&
        std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(bad) + 1, bytes.end(),
                    [](unsigned char c) { return (c & 0xC0) == 0x80; }))
        return EncodingProblem{"not UTF-8", fmt::format("half a UTF-8 character at byte {}, the end of the file", bad),
                               "UTF-8"};
    if (mostlyUtf8(bytes))
        return EncodingProblem{"not UTF-8", fmt::format("the byte 0x{:02x} at byte {}, amid UTF-8", byte, bad),
                               "UTF-8"};
    if (!mostlyLatin(bytes))
        return EncodingProblem{"not UTF-8",
                               fmt::format("the byte 0x{:02x} at byte {}, as in another encoding", byte, bad), ""};
    // Windows-1252 has letters and quotes where ISO-8859-1 has control characters.
    const bool windows = std::any_of(bytes.begin(), bytes.end(), [](unsigned char c) { return c >= 0x80 && c < 0xA0; });
    const std::string charset = windows ? "WINDOWS-1252" : "ISO-8859-1";
    return EncodingProblem{"not UTF-8", fmt::format("the byte 0x{:02x} at byte {}, as in {} text", byte, bad, charset),
                           charset};
}

void normaliseText(std::string& text) {
    const std::size_t mark = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    if (mark == 0 && text.find('\r') == std::string::npos) return;
    std::size_t out = 0;
    for (std::size_t in = mark; in < text.size(); ++in) {
        if (text[in] == '\r' && in + 1 < text.size() && text[in + 1] == '\n') continue;
        text[out++] = text[in];
    }
    text.resize(out);
}

}  // namespace linscope

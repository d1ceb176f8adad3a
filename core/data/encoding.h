#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace linscope {

/// Why bytes are not text that can be read.
struct EncodingProblem {
    std::string kind;   ///< short, for a list: "binary", "UTF-16", "not UTF-8"
    std::string found;  ///< what stands where: "the byte 0xe9 at byte 120, as in ISO-8859-1 text"
    std::string
        charset;  ///< what `iconv -f` calls the likely encoding, "UTF-8" where it is damaged; empty where unknown
};

/// What keeps `bytes` from being UTF-8 text without NUL; empty where nothing does.
std::optional<EncodingProblem> encodingProblem(std::string_view bytes);

/// Takes away a leading byte order mark (EF BB BF) and writes each CR LF as LF. A lone CR stays.
void normaliseText(std::string& text);

}  // namespace linscope

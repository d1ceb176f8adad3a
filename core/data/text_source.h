#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linscope {

/// 2 GiB: the text is held in memory while it is trained on.
inline constexpr std::int64_t kLargestCorpus = std::int64_t{1} << 31;

/// A file or folder inside a corpus folder that was not read.
struct SkippedFile {
    std::string path;    ///< relative to the corpus folder
    std::string reason;  ///< "binary", "UTF-16", "not UTF-8", "empty", "unreadable", "hidden", "not a regular file"
};

/// "3 files skipped: a.png (binary), …"; the first five by name. Empty where nothing was skipped.
std::string skippedNote(const std::vector<SkippedFile>& skipped);

struct TextSource {
    std::string name;        ///< as it was asked for
    std::string text;        ///< UTF-8 without byte order mark and NUL; lines end in LF (CR LF is made LF)
    std::int64_t files = 0;  ///< 0 for a named corpus
    std::int64_t lines = 0;
    std::vector<SkippedFile> skipped;  ///< in the order of their paths

    /// "bible-kjv: 4.4 MB, 31 102 lines", for a folder also the number of files.
    std::string summary() const;
    std::string skippedNote() const { return linscope::skippedNote(skipped); }
};

/// Reads a corpus: the name of a named corpus (see namedCorpora()), else a text file or a folder, relative to
/// the working directory. (`./bible-kjv` is a file of that name.)
///
/// A folder is read with all its subfolders in the byte order of the relative paths, so that it gives the
/// same text on every machine, with one LF between files. Links to files are followed, links to folders are
/// not. What is hidden (a name that begins with a dot), empty, binary, in another encoding or unreadable
/// is skipped and listed.
///
/// Throws Error `[corpus] …` for a path that is not there, a single file that is empty, binary or in another
/// encoding (with the offset and the mend), anything that is no regular file, a folder with nothing
/// to read, and more than `mostBytes` in all.
TextSource loadText(std::string_view corpus, std::int64_t mostBytes = kLargestCorpus);

/// One file of a folder that was read: its path relative to the folder, and its text.
struct TextFile {
    std::string path;
    std::string text;
};
struct TextFiles {
    std::vector<TextFile> files;       ///< in the byte order of their paths
    std::vector<SkippedFile> skipped;  ///< in the order of their paths
};
/// The files of a folder by themselves, read and skipped by the rules of loadText(). Throws Error where `folder` is no
/// folder or has more than `mostBytes`.
TextFiles loadTextFiles(std::string_view folder, std::int64_t mostBytes = kLargestCorpus);

}  // namespace linscope

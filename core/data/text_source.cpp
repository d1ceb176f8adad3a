#include "core/data/text_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "core/base/amount_text.h"
#include "core/base/error.h"
#include "core/base/shell_word.h"
#include "core/data/encoding.h"
#include "core/data/named_corpus.h"
#include "core/options/suggest.h"
#include "core/options/utf8.h"

namespace linscope {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWhere = "corpus";
constexpr std::size_t kMostListed = 5;  // skipped files in a description
constexpr std::int64_t kHead = 4096;    // bytes that are looked at before a file is read

std::string systemMessage(int error) {
    return std::generic_category().message(error);
}

/// 31102 as "31 102".
std::string countText(std::int64_t count) {
    std::string text = std::to_string(count);
    for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<std::size_t>(at), 1, ' ');
    return text;
}

struct FileRead {
    std::string bytes;
    std::string problem;  ///< why it could not be read; empty where it was
};

/// All bytes of a regular file, appending nothing beyond `mostBytes` + 1 of them. Opening without waiting and
/// looking again at what was opened keeps a FIFO or device that takes the file's place from blocking.
FileRead readFile(const fs::path& path, std::int64_t mostBytes) {
    FileRead result;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return {"", systemMessage(errno)};
    struct stat status {};
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        ::close(fd);
        return {"", "not a regular file"};
    }
    // One byte more than the file has, so that its end is seen without growing the buffer.
    const std::size_t capacity = static_cast<std::size_t>(std::min<std::int64_t>(status.st_size, mostBytes)) + 1;
    std::size_t used = 0;
    result.bytes.resize(capacity);
    while (static_cast<std::int64_t>(used) <= mostBytes) {
        if (used == result.bytes.size()) result.bytes.resize(2 * used);
        const ssize_t count = ::read(fd, result.bytes.data() + used, result.bytes.size() - used);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            result.problem = systemMessage(errno);
            break;
        }
        if (count == 0) break;
        used += static_cast<std::size_t>(count);
    }
    ::close(fd);
    result.bytes.resize(used);
    return result;
}

/// The same of a text. Binary data mostly say so at once, and are not read to their end: of them the beginning alone.
FileRead readText(const fs::path& path, std::int64_t mostBytes) {
    FileRead head = readFile(path, kHead);
    return head.bytes.find('\0') == std::string::npos ? readFile(path, mostBytes) : std::move(head);
}

[[noreturn]] void refuseSize(std::string_view corpus, std::int64_t mostBytes) {
    fail(kWhere, "at most {} of text can be read, but \"{}\" has more; give a part of it",
         sizeText(static_cast<std::uint64_t>(mostBytes)), corpus);
}

/// Where a path that is not whole was looked for.
std::string lookedIn(const fs::path& path) {
    std::error_code error;
    const fs::path here = path.is_relative() ? fs::current_path(error) : fs::path();
    return here.empty() ? std::string() : fmt::format(" in {}", here.string());
}

std::string mendOf(const EncodingProblem& problem, const std::string& name) {
    if (problem.kind == "binary") return "give a text file";
    if (problem.charset == "UTF-8")
        return fmt::format("leave out what is broken: iconv -c -f UTF-8 -t UTF-8 {} > whole.txt", shellWord(name));
    return fmt::format("convert it: iconv -f {} -t UTF-8 {} > utf8.txt",
                       problem.charset.empty() ? "ITS-ENCODING" : problem.charset, shellWord(name));
}

void loadFile(const fs::path& path, std::int64_t mostBytes, TextSource& source) {
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (!error && size > static_cast<std::uintmax_t>(mostBytes)) refuseSize(source.name, mostBytes);
    FileRead read = readText(path, mostBytes);
    require(read.problem.empty(), kWhere, "a readable text file was expected, but \"{}\" is not: {}", source.name,
            read.problem);
    if (static_cast<std::int64_t>(read.bytes.size()) > mostBytes) refuseSize(source.name, mostBytes);
    if (const auto problem = encodingProblem(read.bytes)) {
        fail(kWhere, "UTF-8 text was expected, but \"{}\" has {}; {}", source.name, problem->found,
             mendOf(*problem, source.name));
    }
    normaliseText(read.bytes);
    require(!read.bytes.empty(), kWhere, "text was expected, but the file \"{}\" is empty", source.name);
    source.text = std::move(read.bytes);
    source.files = 1;
}

/// Reads what is in a folder and all below it, by paths relative to it.
class FolderReader {
public:
    using Take = std::function<void(const std::string& path, std::string text)>;
    FolderReader(std::string_view root, std::int64_t mostBytes, std::vector<SkippedFile>& skipped, Take take)
        : m_name(root), m_root(root), m_mostBytes(mostBytes), m_skipped(skipped), m_take(std::move(take)) {}

    void read() {
        collect({});
        std::sort(m_files.begin(), m_files.end());
        for (const std::string& file : m_files) readOne(file);
        std::sort(m_skipped.begin(), m_skipped.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    }

private:
    void skip(std::string path, std::string_view reason) {
        m_skipped.push_back({std::move(path), std::string(reason)});
    }

    void collect(const fs::path& folder) {
        std::vector<fs::path> folders{folder};
        while (!folders.empty()) {
            const fs::path current = folders.back();
            folders.pop_back();
            std::error_code error;
            fs::directory_iterator entries(m_root / current, error), end;
            if (error) {
                require(!current.empty(), kWhere, "a readable folder was expected, but \"{}\" is not: {}", m_name,
                        error.message());
                skip(current.string(), "unreadable");
                continue;
            }
            while (entries != end) {
                classify(current / entries->path().filename(), *entries, folders);
                entries.increment(error);
                if (!error) continue;
                skip(current.string(), "unreadable");
                break;
            }
        }
    }

    void classify(const fs::path& relative, const fs::directory_entry& entry, std::vector<fs::path>& folders) {
        std::error_code error;
        const fs::file_status own = entry.symlink_status(error);
        if (relative.filename().string().starts_with('.')) {
            skip(relative.string(), "hidden");
        } else if (fs::is_directory(own)) {
            folders.push_back(relative);
        } else if (fs::is_symlink(own)) {
            const fs::file_status target = fs::status(entry.path(), error);
            if (fs::is_regular_file(target))
                m_files.push_back(relative.string());
            else
                skip(relative.string(), fs::is_directory(target) ? "link to a folder"
                                        : error                  ? "broken link"
                                                                 : "not a regular file");
        } else if (fs::is_regular_file(own)) {
            m_files.push_back(relative.string());
        } else {
            skip(relative.string(), "not a regular file");
        }
    }

    void readOne(const std::string& file) {
        const fs::path path = m_root / file;
        std::error_code error;
        const auto size = fs::file_size(path, error);
        if (error) return skip(file, "unreadable");
        if (size == 0) return skip(file, "empty");
        FileRead read = readText(path, m_mostBytes);
        if (!read.problem.empty()) return skip(file, "unreadable");
        if (const auto problem = encodingProblem(read.bytes)) return skip(file, problem->kind);
        normaliseText(read.bytes);
        if (read.bytes.empty()) return skip(file, "empty");
        // One more for what may be put between two files.
        m_bytes += static_cast<std::int64_t>(read.bytes.size()) + (m_bytes > 0 ? 1 : 0);
        if (m_bytes > m_mostBytes) refuseSize(m_name, m_mostBytes);
        m_take(file, std::move(read.bytes));
    }

    std::string m_name;
    fs::path m_root;
    std::int64_t m_mostBytes;
    std::int64_t m_bytes = 0;
    std::vector<SkippedFile>& m_skipped;
    Take m_take;
    std::vector<std::string> m_files;
};

}  // namespace

std::string TextSource::summary() const {
    std::string out =
        fmt::format("{}: {}, {} line{}", name, sizeText(text.size()), countText(lines), lines == 1 ? "" : "s");
    if (files > 1) out += fmt::format(" in {} files", countText(files));
    return out;
}

std::string skippedNote(const std::vector<SkippedFile>& skipped) {
    if (skipped.empty()) return {};
    const auto count = static_cast<std::int64_t>(skipped.size());
    std::string out = fmt::format("{} {} skipped: ", countText(count), count == 1 ? "file" : "files");
    const std::size_t listed = std::min(skipped.size(), kMostListed);
    for (std::size_t i = 0; i < listed; ++i)
        out += fmt::format("{}{} ({})", i ? ", " : "", asUtf8(skipped[i].path), skipped[i].reason);
    if (listed < skipped.size()) out += fmt::format(" and {} more", skipped.size() - listed);
    return out;
}

TextSource loadText(std::string_view corpus, std::int64_t mostBytes) {
    TextSource source;
    source.name = corpus;
    std::vector<std::string> names;
    const NamedCorpus* named = nullptr;
    for (const NamedCorpus& candidate : namedCorpora()) {
        names.emplace_back(candidate.name);
        if (candidate.name == corpus) named = &candidate;
    }
    if (named) {
        source.text = readNamedCorpus(*named);
    } else {
        require(!corpus.empty() && corpus.find('\0') == std::string_view::npos, kWhere,
                "a named corpus ({}), a text file or a folder was expected, but found {}", fmt::join(names, ", "),
                corpus.empty() ? "nothing" : "a path with a NUL byte in it");
        const fs::path path{corpus};
        std::error_code error;
        const fs::file_status status = fs::status(path, error);
        if (fs::is_directory(status)) {
            const auto append = [&source](const std::string&, const std::string& text) {
                if (!source.text.empty()) source.text += '\n';
                source.text += text;
                ++source.files;
            };
            FolderReader(corpus, mostBytes, source.skipped, append).read();
            require(!source.text.empty(), kWhere, "text files were expected, but the folder \"{}\" has none{}", corpus,
                    source.skipped.empty() ? "" : "; " + source.skippedNote());
        } else if (fs::is_regular_file(status)) {
            loadFile(path, mostBytes, source);
        } else if (status.type() == fs::file_type::not_found) {
            const std::string nearest = nearestName(corpus, names);
            fail(kWhere, "a named corpus ({}), a text file or a folder was expected, but there is no file \"{}\"{}{}",
                 fmt::join(names, ", "), corpus, lookedIn(path),
                 !nearest.empty()          ? fmt::format("; did you mean \"{}\"?", nearest)
                 : corpus.starts_with("~") ? "; write the home folder's own path in place of ~"
                                           : "");
        } else {
            fail(kWhere, "a text file or a folder was expected, but \"{}\" is neither{}", corpus,
                 error ? ": " + error.message() : "");
        }
    }
    source.lines = std::count(source.text.begin(), source.text.end(), '\n');
    if (!source.text.ends_with('\n')) ++source.lines;
    return source;
}

TextFiles loadTextFiles(std::string_view folder, std::int64_t mostBytes) {
    std::error_code error;
    require(folder.find('\0') == std::string_view::npos && fs::is_directory(fs::path(folder), error), kWhere,
            "a folder was expected, but \"{}\" is {}", folder,
            folder.empty() || !fs::exists(fs::path(folder), error) ? "not there" + lookedIn(folder) : "none");
    TextFiles found;
    FolderReader(folder, mostBytes, found.skipped, [&found](const std::string& path, std::string text) {
        found.files.push_back({path, std::move(text)});
    }).read();
    return found;
}

}  // namespace linscope

#include "core/data/folder_classes/folder_classes.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/fnv.h"
#include "core/data/split_text.h"
#include "core/options/utf8.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "folder_classes";
constexpr std::size_t kMostNamed = 8;  // classes in a description

/// "1800s" for a path whose file name has the year 1848 in it; nothing where it has none from 1000 to 2999.
std::optional<std::string> centuryOf(const std::string& path) {
    const std::string name = std::filesystem::path(path).filename().string();
    const auto digit = [&name](std::size_t i) {
        return i < name.size() && std::isdigit(static_cast<unsigned char>(name[i])) != 0;
    };
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (!digit(i) || (i > 0 && digit(i - 1))) continue;
        std::size_t end = i;
        while (digit(end)) ++end;
        if (end - i == 4 && (name[i] == '1' || name[i] == '2')) return name.substr(i, 2) + "00s";
    }
    return std::nullopt;
}

std::optional<std::string> folderOf(const std::string& path) {
    const std::size_t slash = path.find('/');
    if (slash == std::string::npos) return std::nullopt;
    return path.substr(0, slash);
}

/// Adds to each byte's row of column `column` how often it is in the text.
void countBytes(const std::string& text, Eigen::MatrixXd& counts, Eigen::Index column) {
    for (const char c : text) ++counts(static_cast<unsigned char>(c), column);
}

/// Share of the held-out files that Bayes' rule on byte counts puts into the right class: bytes independent, one
/// added to each count. What can be had without the order of the bytes.
double naiveBayesAccuracy(const FolderClasses& task) {
    constexpr Eigen::Index kTogether = 64;  // files in one product: with thousands of classes it is most of a start
    const Eigen::Index classes = task.outputs();
    Eigen::MatrixXd logs = Eigen::MatrixXd::Ones(256, classes);  // of a byte's share in a class
    Eigen::VectorXd prior = Eigen::VectorXd::Zero(classes);
    for (const auto& document : task.training()) {
        ++prior(document.label);
        countBytes(document.text, logs, document.label);
    }
    logs = (logs.array().rowwise() / logs.colwise().sum().array()).log();
    prior = prior.array().log();
    const auto held = static_cast<Eigen::Index>(task.heldOut().size());
    Eigen::Index right = 0;
    for (Eigen::Index first = 0; first < held; first += kTogether) {
        const Eigen::Index count = std::min(kTogether, held - first);
        Eigen::MatrixXd counts = Eigen::MatrixXd::Zero(256, count);
        for (Eigen::Index i = 0; i < count; ++i)
            countBytes(task.heldOut()[static_cast<std::size_t>(first + i)].text, counts, i);
        const Eigen::MatrixXd scores = (logs.transpose() * counts).colwise() + prior;  // [classes, count]
        for (Eigen::Index i = 0; i < count; ++i) {
            Eigen::Index best = 0;
            scores.col(i).maxCoeff(&best);
            right += best == task.heldOut()[static_cast<std::size_t>(first + i)].label;
        }
    }
    return static_cast<double>(right) / static_cast<double>(held);
}

}  // namespace

void FolderClassesOptions::visit(OptionVisitor& visitor) {
    visitor.text({"corpus", "", "A folder with one sub-folder of text files for each class."}, corpus);
    visitor.choice({"group", "", "What a file's class is: its folder, or the century of the year in its name."}, group,
                   {"folder", "century"});
    visitor.integer({"length", "tokens", "T: [CLS] and the first T - 1 bytes of a file."}, length, {2, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.real({"validation_fraction", "", "Share of each class's files held out for validation."},
                 validationFraction, {0.0001, 0.5});
}

FolderClasses::FolderClasses(const FolderClassesOptions& options, std::uint64_t seed)
    : m_options(options), m_random(seed, "folder_classes.training") {
    require(!options.corpus.empty(), kWhere,
            "task.corpus must name a folder with one sub-folder for each class, but it is empty; give it with --set "
            "task.corpus=FOLDER");
    TextFiles found = loadTextFiles(options.corpus);
    m_skipped = std::move(found.skipped);
    const bool byFolder = options.group == "folder";
    std::map<std::string, std::vector<Document>> groups;  // in the order of their names
    for (TextFile& file : found.files) {
        const auto group = byFolder ? folderOf(file.path) : centuryOf(file.path);
        if (!group) {
            m_skipped.push_back({file.path, byFolder ? "in no class folder" : "no year in its name"});
            continue;
        }
        if (static_cast<std::int64_t>(file.text.size()) > options.length - 1) {
            ++m_cut;
            file.text.resize(static_cast<std::size_t>(options.length - 1));
            file.text.shrink_to_fit();
        }
        groups[*group].push_back({std::move(file.path), std::move(file.text), 0});
    }
    const std::string note = m_skipped.empty() ? "" : "; " + skippedNote(m_skipped);
    require(groups.size() >= 2, kWhere, "at least two classes were expected in \"{}\", but found {}{}", options.corpus,
            groups.empty() ? "none" : fmt::format("one, \"{}\"", groups.begin()->first), note);
    for (auto& [name, documents] : groups) {
        require(documents.size() >= 2, kWhere,
                "the class \"{}\" must have at least two files, one of them to be held out, but it has {}{}", name,
                documents.size(), note);
        std::ranges::sort(documents, [](const Document& a, const Document& b) {
            return std::pair(fnv1a(a.path), a.path) < std::pair(fnv1a(b.path), b.path);
        });
        const auto all = static_cast<std::int64_t>(documents.size());
        const std::int64_t held =
            std::clamp<std::int64_t>(std::llround(options.validationFraction * static_cast<double>(all)), 1, all - 1);
        for (std::int64_t i = 0; i < all; ++i) {
            Document& document = documents[static_cast<std::size_t>(i)];
            document.label = static_cast<std::int32_t>(m_classes.size());
            (i < held ? m_heldOut : m_training).push_back(std::move(document));
        }
        m_classes.push_back(asUtf8(name));
    }
    // The classes mixed: a validation takes the first few of them.
    Random order(seed, "folder_classes.validation");
    for (std::size_t i = m_heldOut.size() - 1; i > 0; --i)
        std::swap(m_heldOut[i], m_heldOut[static_cast<std::size_t>(order.below(static_cast<std::int64_t>(i) + 1))]);
}

void FolderClasses::begin(Batch& out) const {
    out.batch = m_options.batch;
    out.length = m_options.length;
    out.tokens.clear();
    out.selected.clear();
    out.targets.clear();
    out.keep.clear();
}

void FolderClasses::append(const Document& document, Batch& out) const {
    const std::size_t first = out.tokens.size(), end = first + static_cast<std::size_t>(m_options.length);
    out.selected.push_back(static_cast<std::int64_t>(first));
    out.targets.push_back(document.label);
    out.tokens.push_back(kClsToken);
    for (const char c : document.text) out.tokens.push_back(static_cast<unsigned char>(c));
    out.keep.resize(out.tokens.size(), 1);
    out.tokens.resize(end, kPadToken);
    out.keep.resize(end, 0);
}

void FolderClasses::nextBatch(Batch& out) {
    begin(out);
    for (std::int64_t b = 0; b < m_options.batch; ++b)
        append(m_training[static_cast<std::size_t>(m_random.below(static_cast<std::int64_t>(m_training.size())))], out);
}

void FolderClasses::validationBatch(std::int64_t index, Batch& out) const {
    require(index >= 0, kWhere, "the number of a validation batch must be 0 or more, but is {}", index);
    begin(out);
    for (std::int64_t b = 0; b < m_options.batch; ++b)
        append(m_heldOut[static_cast<std::size_t>(index * m_options.batch + b) % m_heldOut.size()], out);
}

std::vector<TaskBaseline> FolderClasses::baselines() const {
    std::vector<double> files(m_classes.size());
    for (const Document& document : m_training) ++files[static_cast<std::size_t>(document.label)];
    const auto greatest = std::ranges::max_element(files) - files.begin();
    const auto right = std::ranges::count_if(m_heldOut, [&](const Document& d) { return d.label == greatest; });
    return {{"validation_accuracy", "always the class with most files",
             static_cast<double>(right) / static_cast<double>(m_heldOut.size())},
            {"validation_accuracy", "naive Bayes on byte counts: without the order of the bytes",
             naiveBayesAccuracy(*this)}};
}

std::string FolderClasses::tokenText(std::int32_t token) const {
    require(token >= 0 && token < kVocabulary, kWhere, "a token from 0 to {} was expected, but found {}",
            kVocabulary - 1, token);
    if (token == kClsToken) return "[CLS]";
    if (token == kPadToken) return "[PAD]";
    return byteText(static_cast<unsigned char>(token));
}

std::string FolderClasses::description() const {
    std::vector<std::int64_t> files(m_classes.size());
    for (const auto* part : {&m_training, &m_heldOut})
        for (const Document& document : *part) ++files[static_cast<std::size_t>(document.label)];
    std::string names;
    for (std::size_t i = 0; i < std::min(m_classes.size(), kMostNamed); ++i)
        names += fmt::format("{}{} {}", i > 0 ? ", " : "", m_classes[i], files[i]);
    if (m_classes.size() > kMostNamed) names += fmt::format(" and {} more", m_classes.size() - kMostNamed);
    const std::size_t all = m_training.size() + m_heldOut.size();
    std::string out = fmt::format("{}: {} files in {} classes ({}), {} held out", m_options.corpus, all,
                                  m_classes.size(), names, m_heldOut.size());
    if (m_cut > 0) out += fmt::format("; {} cut after {} bytes", m_cut, m_options.length - 1);
    if (!m_skipped.empty()) out += "; " + skippedNote(m_skipped);
    return out;
}

std::string FolderClasses::dataDigest() const {
    Digest digest;
    for (const auto* part : {&m_training, &m_heldOut})
        for (const Document& document : *part)
            for (const std::string* text :
                 {&m_classes[static_cast<std::size_t>(document.label)], &document.path, &document.text})
                digest.add(*text);
    return digest.text();
}

TaskInfo folderClassesTask() {
    return {
        .name = "folder_classes",
        .title = "Classes of text files",
        .summary = "Tells from a text file's bytes which folder, or which century, it belongs to.",
        .options = specsOf<FolderClassesOptions>(),
        .pooled = true,
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<FolderClasses>(optionsFrom<FolderClassesOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/data/task.h"
#include "core/data/text_source.h"

namespace linscope {

struct FolderClassesOptions {
    std::string corpus;
    std::string group = "folder";  ///< "folder" or "century"
    std::int64_t length = 1024;    // T
    std::int64_t batch = 8;        // B
    double validationFraction = 0.1;
    void visit(OptionVisitor& visitor);
};

/// Classification of text files by their bytes: which class does a file belong to?
///
/// A sequence is [CLS], then the first T − 1 bytes of one file, then [PAD] with keep = 0. One prediction for each
/// sequence, at [CLS] or from the mean of all tokens. Vocabulary: the 256 bytes, [CLS] and [PAD], V = 258.
///
/// Of each class the files whose paths have the smallest hashes are held out, so that the held-out part has the same
/// classes in the same shares, does not depend on the seed, and hardly changes when files are added.
class FolderClasses : public Task {
public:
    static constexpr std::int32_t kClsToken = 256, kPadToken = 257;
    static constexpr std::int64_t kVocabulary = 258;

    /// Reads the folder. Throws Error where there is none, where it has fewer than two classes, or where a class has
    /// fewer than two files that could be read.
    FolderClasses(const FolderClassesOptions& options, std::uint64_t seed);

    std::int64_t vocabulary() const override { return kVocabulary; }
    std::int64_t outputs() const override { return static_cast<std::int64_t>(m_classes.size()); }
    std::int64_t length() const override { return m_options.length; }
    std::int64_t batch() const override { return m_options.batch; }
    void nextBatch(Batch& out) override;
    /// The held-out files in an order that the seed gives, round and round: as many batches as hold them all see each
    /// of them once.
    void validationBatch(std::int64_t index, Batch& out) const override;
    std::vector<TaskBaseline> baselines() const override;
    std::string tokenText(std::int32_t token) const override;
    std::string description() const override;
    std::string dataDigest() const override;
    Random::State cursor() const override { return m_random.state(); }
    void setCursor(const Random::State& cursor) override { m_random = Random(cursor); }

    std::vector<std::string> classes() const override { return m_classes; }
    struct Document {
        std::string path;
        std::string text;        ///< its first T − 1 bytes
        std::int32_t label = 0;  ///< of classes()
    };
    const std::vector<Document>& training() const { return m_training; }
    const std::vector<Document>& heldOut() const { return m_heldOut; }

private:
    void begin(Batch& out) const;
    void append(const Document& document, Batch& out) const;

    FolderClassesOptions m_options;
    std::vector<std::string> m_classes;
    std::vector<Document> m_training, m_heldOut;
    std::vector<SkippedFile> m_skipped;
    std::int64_t m_cut = 0;  ///< files longer than T − 1
    Random m_random;
};

TaskInfo folderClassesTask();

}  // namespace linscope

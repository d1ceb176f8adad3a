#include "app/session/snapshot_loader.h"

#include <QCoreApplication>
#include <algorithm>
#include <optional>

namespace linscope::app {

struct SnapshotLoader::OpenFile {
    std::filesystem::path path;
    std::unique_ptr<RunFileReader> reader;

    RunFileReader& open(const std::filesystem::path& wanted) {
        if (!reader || path != wanted) {
            reader = std::make_unique<RunFileReader>(wanted);
            path = wanted;
        } else {
            reader->refresh();
        }
        return *reader;
    }
};

SnapshotLoader::SnapshotLoader(QObject* parent) : QObject(parent), m_openFile(std::make_shared<OpenFile>()) {
    m_pool.setMaxThreadCount(1);
    m_pool.setExpiryTimeout(-1);
}

SnapshotLoader::~SnapshotLoader() {
    ++*m_newestRequest;
    m_pool.waitForDone();
}

// `work` runs on the pool's thread and returns an optional answer, with which `done` is called here.
template <typename Work, typename Done>
void SnapshotLoader::post(Work work, Done done) {
    m_pool.start([this, work = std::move(work), done = std::move(done)]() mutable {
        auto answer = work();
        if (!answer) return;
        // The loader waits for this thread before it goes, so it is still there to be posted to.
        QMetaObject::invokeMethod(
            this, [done = std::move(done), answer = std::move(*answer)]() mutable { done(std::move(answer)); },
            Qt::QueuedConnection);
    });
}

void SnapshotLoader::open(const std::filesystem::path& file, std::function<void(Opened)> done) {
    post(
        [openFile = m_openFile, file]() {
            std::optional<Opened> answer(std::in_place);
            try {
                const RunFileReader& reader = openFile->open(file);
                answer->record = RunRecord::fromReader(reader);
                answer->tokenTexts = std::make_shared<const std::vector<std::string>>(reader.vocabulary());
            } catch (const std::exception& error) {
                answer->error = error.what();
            }
            return answer;
        },
        std::move(done));
}

void SnapshotLoader::load(const std::filesystem::path& file, std::int64_t step, std::function<void(Loaded)> done) {
    const int request = ++*m_newestRequest;
    post(
        [openFile = m_openFile, newest = m_newestRequest, request, file, step]() {
            std::optional<Loaded> answer;
            if (*newest != request) return answer;
            answer.emplace();
            try {
                RunFileReader& reader = openFile->open(file);
                const auto& lanes = reader.lanes();
                for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
                    const auto& steps = lanes[lane].snapshotSteps;
                    if (std::find(steps.begin(), steps.end(), step) == steps.end()) continue;
                    answer->snapshots.push_back(
                        std::make_shared<const Snapshot>(reader.snapshot(static_cast<int>(lane), step)));
                }
            } catch (const std::exception& error) {
                answer->error = error.what();
            }
            return answer;
        },
        std::move(done));
}

}  // namespace linscope::app

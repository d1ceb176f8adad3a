#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "core/base/shell_word.h"
#include "core/io/run_file.h"
#include "core/io/run_rows.h"
#include "core/io/run_schema.h"
#include "core/io/run_tree.h"
#include "core/io/write_set_driver.h"

namespace linscope {

namespace {

using Clock = std::chrono::steady_clock;

// Snapshots that wait may take this much memory before they are written early.
constexpr std::uint64_t kGreatestBacklog = 64 << 20;

bool isImportant(const Event& event) {
    return std::holds_alternative<CommandEvent>(event) || std::holds_alternative<LaneStateEvent>(event) ||
           std::holds_alternative<CheckpointEvent>(event) || std::holds_alternative<RunStateEvent>(event);
}

void closeFile(Hdf5Handle& file, const std::filesystem::path& path) {
    hdf5Check(file.close() ? 0 : -1, "close", path.string());
}

/// Opens the file over the set; what is there stays as it is until the set is committed.
Hdf5Handle openForChange(WriteSet& set, const std::filesystem::path& path) {
    const Hdf5Handle access = writeSetAccess(set);
    Hdf5Handle file = hdf5Own(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.id()), H5Fclose, "open", path.string());
    set.setOldEnd(set.end());
    return file;
}

/// Removes the half-made file when making it ends by an exception.
class Removal {
public:
    explicit Removal(std::filesystem::path path) : m_path(std::move(path)) {}
    ~Removal() {
        std::error_code ignored;
        if (!m_path.empty()) std::filesystem::remove(m_path, ignored);
    }
    void release() { m_path.clear(); }

private:
    std::filesystem::path m_path;
};

}  // namespace

struct RunFileWriter::Impl {
    Impl(StorageFile storage, RunShape shape, std::string id, RunFileOptions runOptions)
        : file(std::move(storage)), runId(std::move(id)), options(std::move(runOptions)), rows(std::move(shape)) {}

    /// Puts the changes on the disk that HDF5 has already made in memory, if there are some.
    void commitPending() {
        if (!pending) return;
        pending->commit(file, options.freeBytes);
        pending.reset();
    }

    void flush() {
        if (!file.isAtItsPath()) lost = followOrKeep();
        write();
        if (!lost.empty()) throw FileLost(std::exchange(lost, {}));
    }

    /// The file is not where it was: goes on in it where it has been moved to, or in a copy where it is nowhere any
    /// more but for this program. What to say of it.
    std::string followOrKeep() {
        const std::filesystem::path was = file.path();
        file.setPath(file.currentPath());
        if (file.isAtItsPath())
            return fmt::format(
                "[run file] {} must stay where it is while it is written, but it is now at {}; all is logged there: "
                "move it back and go on with: linscope train --resume {}",
                was.string(), file.path().string(), shellWord(was.string()));
        file.setPath(was);
        try {
            StorageFile copy = file.copyTo(freeName(was));
            require(copy.lockForWriting(), "run file", "{} must not be in use, but another program is writing it",
                    copy.path().string());
            file = std::move(copy);
        } catch (const StorageFull&) {
            throw;  // there may be room the next time
        } catch (const Error& error) {
            return fmt::format(
                "[run file] {} must stay where it is while it is written, but it was removed, and what was logged "
                "cannot be kept there: {}",
                was.string(), error.what());
        }
        const bool there = file.path() == was;
        return fmt::format(
            "[run file] {} must stay where it is while it is written, but it was {}; all that was logged is {}; go on "
            "with: linscope train --resume {}",
            was.string(), there ? "removed" : "replaced by another file",
            there ? "there again" : fmt::format("in {}, to be moved back in its place", file.path().string()),
            shellWord(was.string()));
    }

    /// The file's own name, or where that is taken one beside it; makes the folder, which may have gone as a whole.
    static std::filesystem::path freeName(const std::filesystem::path& was) {
        std::error_code ignored;
        std::filesystem::create_directories(was.parent_path(), ignored);
        std::filesystem::path name = was;
        for (int number = 1; std::filesystem::exists(name, ignored); ++number)
            name.replace_filename(fmt::format("{}.rescued{}{}", was.stem().string(),
                                              number == 1 ? "" : fmt::format("-{}", number), was.extension().string()));
        return name;
    }

    void write() {
        commitPending();
        if (!rows.empty()) {
            auto set = std::make_unique<WriteSet>(&file);
            {
                const Hdf5Session session;
                Hdf5Handle handle = openForChange(*set, file.path());
                rows.append(handle.id());
                closeFile(handle, file.path());
            }
            rows.clear();
            pending = std::move(set);
            commitPending();
        }
        lastFlush = Clock::now();
    }

    bool due() const {
        return pending || rows.snapshotBytes() > kGreatestBacklog ||
               std::chrono::duration<double>(Clock::now() - lastFlush).count() >= options.flushSeconds;
    }

    StorageFile file;
    std::string runId;
    std::string lost;  ///< what is to be told of a file that was taken away, once all is written
    RunFileOptions options;
    RunRows rows;
    std::unique_ptr<WriteSet> pending;
    Clock::time_point lastFlush = Clock::now();
};

RunFileWriter::RunFileWriter() = default;

RunFileWriter::RunFileWriter(const std::filesystem::path& path, const Experiment& experiment, const Task& task,
                             const std::vector<LaneLayout>& lanes, RunFileOptions options) {
    require(!lanes.empty(), "run file", "a run must have lanes, but it has none");
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(path, error);
    require(!std::filesystem::is_directory(status), "run file", "{} must be a file to write, but it is a folder",
            path.string());
    require(std::filesystem::status_known(status), "run file", "{} must be a file to write, but: {}", path.string(),
            error.message());
    const bool occupied =
        std::filesystem::exists(status) && StorageFile(path, StorageFile::Mode::Read).lockedByWriter();
    require(!occupied, "run file", "{} must not be in use, but another program is writing it", path.string());

    // The tree is made aside, so that the path never holds half of one.
    std::filesystem::path aside = path;
    aside += ".new";
    StorageFile file(aside, StorageFile::Mode::Make);
    // Before it is emptied: another program may be making its own run of that name.
    require(file.lockForWriting() && file.isAtItsPath(), "run file",
            "{} must not be in use, but another program is writing it", path.string());
    file.resize(0);
    Removal removal(aside);
    WriteSet set;
    std::unique_ptr<RunShape> shape;
    std::string runId;
    {
        const Hdf5Session session;
        const Hdf5Handle access = writeSetAccess(set);
        const Hdf5Handle creation = hdf5Own(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "make", "creation list");
        Hdf5Handle handle = hdf5Own(H5Fcreate(aside.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), H5Fclose,
                                    "create", path.string());
        makeRunTree(handle.id(), experiment, task, lanes);
        closeFile(handle, path);
    }
    set.commit(file, options.freeBytes);
    {
        const Hdf5Session session;
        const RunInput input(aside);
        shape = std::make_unique<RunShape>(readRunShape(input));
        runId = input.rootText(schema::kRunId);
    }
    renameDurably(aside, path);
    removal.release();
    file.setPath(path);
    m_impl = std::make_unique<Impl>(std::move(file), std::move(*shape), std::move(runId), std::move(options));
}

std::unique_ptr<RunFileWriter> RunFileWriter::resume(const std::filesystem::path& path, std::int64_t step,
                                                     RunFileOptions options) {
    checkIsRunFile(path);
    StorageFile file(path, StorageFile::Mode::Update);
    require(file.lockForWriting(), "run file", "{} must not be in use, but another program is writing it",
            path.string());
    WriteSet set(&file);
    RunShape shape;
    std::string runId;
    {
        const Hdf5Session session;
        const RunInput input(path);
        shape = readRunShape(input);
        runId = input.rootText(schema::kRunId);
        Hdf5Handle handle = openForChange(set, path);
        cutRowsAfter(handle.id(), input, shape, step);
        closeFile(handle, path);
    }
    set.commit(file, options.freeBytes);
    std::unique_ptr<RunFileWriter> writer(new RunFileWriter);
    writer->m_impl = std::make_unique<Impl>(std::move(file), std::move(shape), std::move(runId), std::move(options));
    return writer;
}

RunFileWriter::~RunFileWriter() {
    if (!m_impl) return;
    try {
        m_impl->flush();
    } catch (const std::exception&) {
        // Whoever needs to know calls flush() before; what is on the disk is whole.
    }
}

void RunFileWriter::onEvent(const Event& event) {
    m_impl->rows.add(event);
    if (isImportant(event) || m_impl->due()) m_impl->flush();
}

const std::string& RunFileWriter::runId() const {
    return m_impl->runId;
}

void RunFileWriter::flush() {
    m_impl->flush();
}

}  // namespace linscope

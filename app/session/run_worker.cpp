#include "app/session/run_worker.h"

#include <fmt/format.h>

#include <exception>

#ifdef __linux__
#include <sys/resource.h>
#include <unistd.h>
#endif

#include "app/runs/device_choice.h"
#include "app/runs/going_on.h"
#include "app/runs/run_files.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/cuda/device.h"
#include "core/io/lane_layouts.h"
#include "core/io/run_file.h"
#include "core/train/checkpoint_state.h"
#include "core/train/lane.h"
#include "core/train/runner.h"
#include "core/train/trainer.h"

namespace linscope::app {

namespace {

constexpr std::chrono::milliseconds kLiveInterval{250};

// A click must be answered while training has both cores: the window gets the processor first.
void yieldToTheWindow() {
#ifdef __linux__
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 5);
#endif
}

/// The file that the run logs to, opened again or made; `file` is then its path.
std::unique_ptr<RunFileWriter> openRunFile(const RunRequest& request, Trainer& trainer, std::filesystem::path& file) {
    file = request.file;
    if (request.goesOn) return RunFileWriter::resume(file, trainer.currentStep());
    file = claimRunFile(request.file, "choose another folder in File › Runs folder");
    try {
        return std::make_unique<RunFileWriter>(file, trainer.experiment(), trainer.task(), laneLayouts(trainer));
    } catch (...) {
        releaseRunFile(file);
        throw;
    }
}

}  // namespace

TokenTexts tokenTextsOf(const Task& task) {
    auto texts = std::make_shared<std::vector<std::string>>();
    texts->reserve(static_cast<std::size_t>(task.vocabulary()));
    for (std::int64_t token = 0; token < task.vocabulary(); ++token)
        texts->push_back(task.tokenText(static_cast<std::int32_t>(token)));
    return texts;
}

RunWorker::RunWorker(RunRequest request, EventSink& feed, Callbacks callbacks)
    : m_request(std::move(request)), m_feed(feed), m_callbacks(std::move(callbacks)), m_thread([this] { work(); }) {}

RunWorker::~RunWorker() {
    requestStop();
    m_thread.join();
}

void RunWorker::requestStop() {
    m_commands.post({.kind = CommandKind::Stop});
}

void RunWorker::work() {
    yieldToTheWindow();
    RunEnd end;
    try {
        end.state = train();
    } catch (const std::exception& error) {
        end.error = error.what();
    }
    m_callbacks.ended(std::move(end));
}

RunState RunWorker::train() {
    const Device device = chosenDevice(m_request.device, m_request.experiment);
    Trainer trainer(m_request.experiment, device);
    RunStart start;
    if (m_request.goesOn) {
        // As the file is now: whoever looked at it before may have seen less of it.
        const RunFileReader run(m_request.file);
        FoundCheckpoint found = findCheckpoint(checkpointFolder(m_request.file), run.lastStep());
        require(found.file.has_value(), "resume", "a whole checkpoint was expected in {}, but there is none",
                checkpointFolder(m_request.file).string());
        goOnFrom(trainer, run, *found.file);
        start.passedOver = std::move(found.passedOver);
    }

    start.taskDescription = trainer.task().description();
    start.baselines = trainer.task().baselines();
    start.place = device == Device::Cuda ? cudaDescription() : fmt::format("the processor, {} threads", threadCount());
    start.tokenTexts = tokenTextsOf(trainer.task());
    start.step = trainer.currentStep();
    for (std::size_t i = 0; i < trainer.laneCount(); ++i) {
        const Lane& lane = trainer.lane(i);
        start.lanes.push_back({.parameters = lane.parameters().elements(),
                               .projectionsTrainable = lane.projectionsTrainable(),
                               .projectionsFrozen = lane.projectionsFrozen(),
                               .peakLearningRate = lane.peakLearningRate(),
                               .state = lane.state(),
                               .message = lane.message()});
    }

    const std::unique_ptr<RunFileWriter> writer = openRunFile(m_request, trainer, start.file);
    const std::filesystem::path checkpoints = checkpointFolder(start.file);
    m_callbacks.started(std::move(start));

    trainer.addListener(*writer);
    trainer.addListener(m_feed);
    trainer.setCheckpointFolder(checkpoints, writer->runId());

    const RunState state =
        runTrainer(trainer, m_commands, {.untilStep = m_request.untilStep, .liveInterval = kLiveInterval});
    trainer.emitLiveSnapshots();
    writer->flush();
    return state;
}

}  // namespace linscope::app

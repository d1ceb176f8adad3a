#include "app/session/run_worker.h"

#include <fmt/format.h>

#include <exception>

#ifdef __linux__
#include <sys/resource.h>
#include <unistd.h>
#endif

#include "app/cli/going_on.h"
#include "app/cli/run_plan.h"
#include "core/base/parallel.h"
#include "core/cuda/device.h"
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
    if (m_request.checkpoint) goOnFrom(trainer, RunFileReader(m_request.file), *m_request.checkpoint);

    RunStart start;
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

    const std::unique_ptr<RunFileWriter> writer =
        m_request.checkpoint ? RunFileWriter::resume(m_request.file, trainer.currentStep())
                             : std::make_unique<RunFileWriter>(m_request.file, trainer.experiment(), trainer.task(),
                                                               laneLayouts(trainer));
    m_callbacks.started(std::move(start));

    trainer.addListener(*writer);
    trainer.addListener(m_feed);
    trainer.setCheckpointFolder(checkpointFolder(m_request.file), writer->runId());

    const RunState state =
        runTrainer(trainer, m_commands, {.untilStep = m_request.untilStep, .liveInterval = kLiveInterval});
    trainer.emitLiveSnapshots();
    writer->flush();
    return state;
}

}  // namespace linscope::app

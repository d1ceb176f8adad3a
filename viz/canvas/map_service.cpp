#include "viz/canvas/map_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <utility>
#include <vector>

namespace linscope::viz {

namespace {

constexpr int kBins = 120;

MapJob jobOf(const MapSet& set) {
    return {set.snapshot, set.choice, set.scope};
}

ComputedMap asItLies(const Projection& projection) {
    AttentionMap map;
    map.matrix = {.rows = projection.slots, .cols = projection.length, .values = projection.values};
    map.isSigned = true;
    return map;
}

}  // namespace

ValueStatistics statisticsOf(const Matrix& matrix) {
    Matrix decades{.rows = 1, .cols = 0, .values = {}};
    for (const float value : matrix.values)
        if (value > 0 && std::isfinite(value)) decades.values.push_back(std::log10(value));
    decades.cols = static_cast<std::int64_t>(decades.values.size());
    return {.values = histogramOf(matrix, kBins), .decades = histogramOf(decades, kBins)};
}

int MapSet::ownIndex() const {
    const auto found = std::ranges::find_if(maps, [](const auto& map) { return map != nullptr; });
    return found == maps.end() ? -1 : static_cast<int>(found - maps.begin());
}

std::string MapSet::routeSentence() const {
    std::vector<std::pair<std::string, std::string>> told;  // a sentence, and the names of its maps
    for (int index = 0; index < kMapCount; ++index) {
        if (!maps[index]) continue;
        const std::string sentence = routes[index].sentence(), name(mapName(kMapKinds[index]));
        const auto known = std::ranges::find(told, sentence, [](const auto& one) { return one.first; });
        if (known == told.end())
            told.emplace_back(sentence, name);
        else
            known->second += ", " + name;
    }
    if (told.size() == 1) return told.front().first;
    std::string all;
    for (const auto& [sentence, names] : told) all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", names, sentence);
    return all;
}

MapService::Work MapService::realWork(std::shared_ptr<MapSource> source) {
    Work work{.map = [](const Snapshot& snapshot, const MapRequest& request,
                        const std::stop_token& stop) { return attentionMap(snapshot, request, stop); },
              .fidelity =
                  [](const Snapshot& snapshot, const HeadChoice& choice, const std::stop_token& stop) {
                      return headFidelity(snapshot, choice.layer, choice.head, choice.sample, stop);
                  },
              .has = [](const Snapshot& snapshot, MapKind kind) { return hasMap(snapshot, kind); }};
    if (source == nullptr) return work;
    work.map = [source](const Snapshot& snapshot, const MapRequest& request, const std::stop_token& stop) {
        return source->map(snapshot, request, stop);
    };
    work.projection = [source](const Projection& projection) { return source->projection(projection); };
    return work;
}

MapService::MapService(std::function<void()> onAnswer, Work work)
    : m_onAnswer(std::move(onAnswer)), m_work(std::move(work)), m_thread([this] { run(); }) {}

MapService::~MapService() {
    {
        const std::lock_guard lock(m_mutex);
        m_stop = true;
        m_waiting.clear();
        m_givenUp.request_stop();
    }
    m_wake.notify_all();
    m_thread.join();
}

void MapService::request(std::vector<MapJob> jobs) {
    {
        const std::lock_guard lock(m_mutex);
        const auto wanted = [&](const MapJob& known) {
            return std::ranges::any_of(jobs, [&](const MapJob& job) { return job.isOfHead(known); });
        };
        // What has been given up stays so, though it may be asked for again.
        if (m_current && !wanted(*m_current)) m_givenUp.request_stop();
        std::erase_if(m_answers, [&](const auto& set) { return !wanted(jobOf(*set)); });
        std::erase_if(jobs, [&](const MapJob& job) {
            return (job == m_current && !m_givenUp.stop_requested()) ||
                   std::ranges::any_of(m_answers, [&](const auto& set) { return job == jobOf(*set); });
        });
        m_waiting.assign(jobs.begin(), jobs.end());
    }
    m_wake.notify_all();
}

std::vector<std::shared_ptr<const MapSet>> MapService::take() {
    const std::lock_guard lock(m_mutex);
    return std::exchange(m_answers, {});
}

bool MapService::busy() const {
    const std::lock_guard lock(m_mutex);
    return m_current.has_value() || !m_waiting.empty();
}

void MapService::run() {
    std::unique_lock lock(m_mutex);
    for (;;) {
        m_wake.wait(lock, [this] { return m_stop || !m_waiting.empty(); });
        if (m_stop) return;
        m_current = std::move(m_waiting.front());
        m_waiting.pop_front();
        m_givenUp = {};
        const MapJob job = *m_current;
        const std::stop_token stop = m_givenUp.get_token();
        lock.unlock();
        compute(job, stop);
        lock.lock();
        m_current.reset();
    }
}

void MapService::answer(std::shared_ptr<const MapSet> set, const std::stop_token& stop) {
    {
        const std::lock_guard lock(m_mutex);
        if (stop.stop_requested()) return;
        std::erase_if(m_answers, [&](const auto& older) { return jobOf(*older).isOfHead(jobOf(*set)); });
        m_answers.push_back(std::move(set));
    }
    if (m_onAnswer) m_onAnswer();
}

void MapService::computeMaps(const MapJob& job, const std::stop_token& stop, MapSet& set) {
    const Snapshot& snapshot = *job.snapshot;
    for (int index = 0; index < kMapCount; ++index) {
        if (stop.stop_requested()) return;
        if (job.scope == MapScope::Own && kMapKinds[index] != ownMap(snapshot)) continue;
        if (!m_work.has(snapshot, kMapKinds[index])) continue;
        ComputedMap computed = m_work.map(
            snapshot,
            {.kind = kMapKinds[index], .layer = job.choice.layer, .head = job.choice.head, .sample = job.choice.sample},
            stop);
        set.maps[index] = std::make_shared<const AttentionMap>(std::move(computed.map));
        set.routes[index] = std::move(computed.route);
        set.cells[index] = std::move(computed.cells);
        set.statistics[index] = statisticsOf(set.maps[index]->matrix);
    }
}

void MapService::computeProjections(const MapJob& job, const std::stop_token& stop, MapSet& set) {
    const Projection* first = job.snapshot->projection("E", job.choice.layer, job.choice.head);
    const Projection* second = job.snapshot->projection("F", job.choice.layer, job.choice.head);
    if (second == first || (first && second && second->values == first->values)) second = nullptr;
    for (const Projection* projection : {first, second}) {
        if (!projection || stop.stop_requested()) continue;
        ComputedMap picture = m_work.projection ? m_work.projection(*projection) : asItLies(*projection);
        ProjectionPicture& shown = set.projections.emplace_back();
        shown.label = projection->label();
        shown.matrix = std::make_shared<const Matrix>(std::move(picture.map.matrix));
        shown.statistics = statisticsOf(*shown.matrix);
        shown.cells = std::move(picture.cells);
    }
}

void MapService::compute(const MapJob& job, const std::stop_token& stop) {
    const auto begin = std::chrono::steady_clock::now();
    const Snapshot& snapshot = *job.snapshot;
    MapSet set{.choice = job.choice,
               .snapshot = job.snapshot,
               .scope = job.scope,
               .maps = {},
               .statistics = {},
               .fidelity = {},
               .problem = {}};
    try {
        job.scope == MapScope::Projections ? computeProjections(job, stop, set) : computeMaps(job, stop, set);
    } catch (const std::exception& error) {
        set.problem = error.what();
    }
    set.milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    answer(std::make_shared<const MapSet>(set), stop);

    // The rank bound needs the singular values of a T×T map: far slower than the maps, so it follows them.
    if (job.scope != MapScope::Whole || !set.problem.empty() || !m_work.has(snapshot, MapKind::Lifted) ||
        stop.stop_requested())
        return;
    try {
        set.fidelity = m_work.fidelity(snapshot, job.choice, stop);
    } catch (const std::exception& error) {
        set.problem = error.what();
    }
    answer(std::make_shared<const MapSet>(std::move(set)), stop);
}

}  // namespace linscope::viz

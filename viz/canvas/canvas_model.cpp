#include "viz/canvas/canvas_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace linscope::viz {

namespace {

std::string plainToken(std::int32_t token) {
    if (token == ' ') return "␣";
    if (token == '\n') return "⏎";
    if (token > 32 && token < 127) return std::string(1, static_cast<char>(token));
    return fmt::format("<{}>", token);
}

}  // namespace

CanvasModel::CanvasModel(std::function<void()> onMaps, MapService::Work work)
    : m_tokenText(plainToken), m_service(std::move(onMaps), std::move(work)) {}

void CanvasModel::setLanes(std::vector<std::string> names, std::vector<Colour> colours) {
    m_lanes = std::move(names);
    m_colours = std::move(colours);
    m_snapshots.assign(m_lanes.size(), nullptr);
    m_maps.reset();
    m_projections.reset();
    m_own.assign(m_lanes.size(), nullptr);
    m_fidelity.reset();
    for (int lane = 0; lane < kLaneRanges; ++lane) m_colouring.setAutomatic(rangeOfOneLane(lane));
    m_service.request({});  // of another run nothing is wanted any more
    m_choice = clamped(m_wished);
    if (onChoice) onChoice(m_choice);  // of another run whoever follows knows nothing yet
}

void CanvasModel::setSnapshot(std::shared_ptr<const Snapshot> snapshot) {
    if (!snapshot || snapshot->lane < 0) return;
    const auto lane = static_cast<std::size_t>(snapshot->lane);
    if (lane >= m_snapshots.size()) {
        m_snapshots.resize(lane + 1);
        m_own.resize(lane + 1);
        while (m_lanes.size() <= lane) m_lanes.push_back(fmt::format("lane {}", m_lanes.size()));
    }
    m_snapshots[lane] = std::move(snapshot);
    if (!m_choiceMade) {
        const auto shown = this->snapshot();
        const bool better = !shown || (!hasMap(*shown, MapKind::Lifted) && hasMap(*m_snapshots[lane], MapKind::Lifted));
        if (better && m_choice.lane != static_cast<int>(lane)) {
            m_wished.lane = static_cast<int>(lane);
            m_choice = clamped(m_wished);
            if (onChoice) onChoice(m_choice);
        }
    }
    if (static_cast<int>(lane) == m_choice.lane) m_choice = clamped(m_wished);
    if (static_cast<int>(lane) == m_choice.lane || m_page == CanvasPage::Lanes) request();
}

std::shared_ptr<const Snapshot> CanvasModel::snapshot() const {
    return snapshotOf(m_choice.lane);
}

std::shared_ptr<const Snapshot> CanvasModel::snapshotOf(int lane) const {
    const auto index = static_cast<std::size_t>(lane);
    return index < m_snapshots.size() ? m_snapshots[index] : nullptr;
}

std::optional<Colour> CanvasModel::colourOf(int lane) const {
    const auto index = static_cast<std::size_t>(lane);
    return index < m_colours.size() ? std::optional(m_colours[index]) : std::nullopt;
}

std::shared_ptr<const MapSet> CanvasModel::own(int lane) const {
    const auto index = static_cast<std::size_t>(lane);
    return index < m_own.size() ? m_own[index] : nullptr;
}

HeadChoice CanvasModel::clamped(HeadChoice choice) const {
    choice.lane = std::clamp(choice.lane, 0, std::max(0, static_cast<int>(m_lanes.size()) - 1));
    const auto known = snapshotOf(choice.lane);
    if (!known) return choice;
    choice.layer = std::clamp(choice.layer, 0, std::max(0, static_cast<int>(known->layers.size()) - 1));
    choice.head = std::clamp(choice.head, 0, std::max(0, static_cast<int>(known->heads) - 1));
    choice.sample = std::clamp(choice.sample, 0, std::max(0, static_cast<int>(known->samples) - 1));
    return choice;
}

void CanvasModel::choose(HeadChoice choice) {
    m_choiceMade = true;
    m_wished = choice;
    const HeadChoice before = std::exchange(m_choice, clamped(choice));
    if (m_choice == before) return;
    request();
    if (onChoice) onChoice(m_choice);
}

HeadChoice CanvasModel::savedChoice() const {
    HeadChoice saved = m_choice;
    if (!m_choiceMade) saved.lane = -1;
    return saved;
}

void CanvasModel::restoreChoice(HeadChoice choice) {
    if (choice.lane >= 0) return choose(choice);
    choice.lane = m_choice.lane;
    m_wished = choice;
    m_choice = clamped(choice);
    request();
}

HeadChoice CanvasModel::choiceIn(int lane) const {
    HeadChoice choice = m_choice;
    choice.lane = lane;
    return clamped(choice);
}

void CanvasModel::setPage(CanvasPage page) {
    if (page == m_page) return;
    m_page = page;
    if (page == CanvasPage::Lanes) cursor.slot = -1;  // slots of two lanes are not the same
    tellStatistics();
    request();
}

void CanvasModel::request() {
    if (m_page == CanvasPage::Lanes) return requestOwn();
    const auto known = snapshot();
    if (!known) return;
    std::vector<MapJob> jobs;
    if (m_page == CanvasPage::Projection) jobs.push_back({known, m_choice, MapScope::Projections});
    jobs.push_back({known, m_choice});
    m_service.request(std::move(jobs));
}

void CanvasModel::requestOwn() {
    std::vector<MapJob> jobs;
    for (int lane = 0; lane < static_cast<int>(m_snapshots.size()); ++lane) {
        MapJob job{snapshotOf(lane), choiceIn(lane), MapScope::Own};
        const auto shown = own(lane);
        if (job.snapshot && !(shown && shown->snapshot == job.snapshot && shown->choice == job.choice))
            jobs.push_back(std::move(job));
    }
    // Those first that have waited longest: where snapshots come faster than maps, every lane gets its turn.
    std::ranges::stable_sort(jobs, {}, [this](const MapJob& job) {
        const auto shown = own(job.choice.lane);
        return shown ? shown->snapshot->step : -1;
    });
    m_service.request(std::move(jobs));
}

bool CanvasModel::update() {
    const auto answers = m_service.take();
    for (const auto& answer : answers) take(answer);
    if (answers.empty()) return false;
    tellStatistics();
    return true;
}

void CanvasModel::take(std::shared_ptr<const MapSet> answer) {
    if (answer->scope == MapScope::Projections) {
        m_projections = std::move(answer);
        return;
    }
    const std::int64_t tokens = answer->snapshot->length;
    std::int64_t slots = m_view.slots();
    if (answer->scope == MapScope::Own) {
        m_own[static_cast<std::size_t>(answer->choice.lane)] = std::move(answer);
    } else {
        m_maps = std::move(answer);
        if (m_maps->fidelity)
            m_fidelity = {m_maps->choice, m_maps->snapshot->step, *m_maps->fidelity};
        else if (!m_maps->problem.empty() || (m_fidelity && m_fidelity->choice != m_maps->choice))
            m_fidelity.reset();
        const auto& compressed = m_maps->maps[1];
        slots = compressed ? compressed->matrix.cols * compressed->colBlock : 0;
    }
    m_view.setCells(tokens, slots);
    if (cursor.row >= tokens || cursor.key >= tokens || cursor.slot >= slots) cursor = {};
}

void CanvasModel::tellStatistics() {
    std::array<std::vector<const ValueStatistics*>, kMapCount> shown;
    if (m_page == CanvasPage::Lanes) {
        // Weights of all lanes in one range, so that equal colours are equal weights, and signed maps in another.
        for (const auto& set : m_own)
            if (const int own = set ? set->ownIndex() : -1; own >= 0) {
                const std::array one{&std::as_const(set->statistics)[own]};
                m_colouring.setStatistics(rangeOfOneLane(set->choice.lane), one);
                shown[set->maps[own]->isSigned ? 2 : 0].push_back(one.front());
            }
    } else if (m_maps) {
        for (std::size_t i = 0; i < kMapCount; ++i)
            if (m_maps->maps[i]) shown[i].push_back(&m_maps->statistics[i]);
    }
    static constexpr std::array kRanges{RangeOf::Exact, RangeOf::Compressed, RangeOf::Lifted, RangeOf::Difference};
    for (std::size_t i = 0; i < kMapCount; ++i) m_colouring.setStatistics(kRanges[i], shown[i]);
}

std::string CanvasModel::tokenAt(std::int64_t position) const {
    // All lanes read the same tokens.
    const auto first = std::ranges::find_if(m_own, [](const auto& set) { return set != nullptr; });
    const MapSet* set = m_page != CanvasPage::Lanes ? m_maps.get() : first != m_own.end() ? first->get() : nullptr;
    if (!set) return {};
    const Snapshot& shown = *set->snapshot;
    const std::int64_t index = set->choice.sample * shown.length + position;
    if (position < 0 || position >= shown.length || index >= static_cast<std::int64_t>(shown.tokens.size())) return {};
    return m_tokenText ? m_tokenText(shown.tokens[static_cast<std::size_t>(index)]) : std::string();
}

std::string CanvasModel::ownAbsence(int lane) const {
    const auto known = snapshotOf(lane);
    return absence(known ? ownMap(*known) : MapKind::Exact, lane, own(lane).get());
}

std::string CanvasModel::absence(MapKind kind, int lane, const MapSet* set) const {
    const auto known = snapshotOf(lane);
    if (!known) {
        if (m_lanes.empty()) return "No experiment is open.";
        const std::string& name = m_lanes[static_cast<std::size_t>(lane)];
        return m_failure.empty()
                   ? fmt::format("Nothing of \"{}\" to show yet: maps come with its first snapshot.", name)
                   : fmt::format("Nothing of \"{}\" to show: {}", name, m_failure);
    }
    if (!hasMap(*known, kind)) {
        if (known->mechanism == "full")
            return kind == MapKind::Compressed ? "Full attention has no compressed map: every query reads every token."
                   : kind == MapKind::Lifted   ? "Full attention has nothing to lift: its map is the exact one."
                                               : "Full attention does not differ from the exact map.";
        return mapAbsence(*known, kind);
    }
    // What could not be computed takes no other map away.
    const auto index = static_cast<std::size_t>(std::ranges::find(kMapKinds, kind) - kMapKinds.begin());
    if (set && !set->problem.empty() && set->choice == choiceIn(lane) && !set->maps[index]) return set->problem;
    return {};
}

}  // namespace linscope::viz

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
    : m_tokenText(plainToken), m_projection(work.projection), m_service(std::move(onMaps), std::move(work)) {}

void CanvasModel::setLanes(std::vector<std::string> names) {
    m_lanes = std::move(names);
    m_snapshots.assign(m_lanes.size(), nullptr);
    m_maps.reset();
    m_fidelity.reset();
    m_choice = clamped(m_wished);
    ++m_revision;
    if (onChoice) onChoice(m_choice);  // of another run whoever follows knows nothing yet
}

void CanvasModel::setSnapshot(std::shared_ptr<const Snapshot> snapshot) {
    if (!snapshot || snapshot->lane < 0) return;
    const auto lane = static_cast<std::size_t>(snapshot->lane);
    if (lane >= m_snapshots.size()) {
        m_snapshots.resize(lane + 1);
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
    if (static_cast<int>(lane) == m_choice.lane) {
        m_choice = clamped(m_wished);
        request();
    }
}

std::shared_ptr<const Snapshot> CanvasModel::snapshot() const {
    const auto lane = static_cast<std::size_t>(m_choice.lane);
    return lane < m_snapshots.size() ? m_snapshots[lane] : nullptr;
}

HeadChoice CanvasModel::clamped(HeadChoice choice) const {
    choice.lane = std::clamp(choice.lane, 0, std::max(0, static_cast<int>(m_lanes.size()) - 1));
    const auto lane = static_cast<std::size_t>(choice.lane);
    const Snapshot* known = lane < m_snapshots.size() ? m_snapshots[lane].get() : nullptr;
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

void CanvasModel::request() {
    if (auto known = snapshot()) m_service.request(std::move(known), m_choice);
}

bool CanvasModel::update() {
    auto answer = m_service.take();
    if (!answer) return false;
    m_maps = std::move(answer);
    ++m_revision;
    if (m_maps->fidelity)
        m_fidelity = {m_maps->choice, m_maps->snapshot->step, *m_maps->fidelity};
    else if (!m_maps->problem.empty() || (m_fidelity && m_fidelity->choice != m_maps->choice))
        m_fidelity.reset();
    const auto& maps = m_maps->maps;
    const std::int64_t tokens = m_maps->snapshot->length;
    const auto& compressed = maps[1];
    m_view.setCells(tokens, compressed ? compressed->matrix.cols * compressed->colBlock : 0);
    if (cursor.row >= tokens || cursor.key >= tokens || cursor.slot >= m_view.slots()) cursor = {};

    static constexpr std::array kRanges{RangeOf::Exact, RangeOf::Compressed, RangeOf::Lifted, RangeOf::Difference};
    for (std::size_t i = 0; i < kRanges.size(); ++i) {
        const ValueStatistics* own = &m_maps->statistics[i];
        m_colouring.setStatistics(kRanges[i], std::span(&own, maps[i] ? 1 : 0));
    }
    return true;
}

ComputedMap CanvasModel::picture(const Projection& projection) const {
    if (m_projection) return m_projection(projection);
    AttentionMap map;
    map.matrix = {.rows = projection.slots, .cols = projection.length, .values = projection.values};
    return map;
}

std::string CanvasModel::tokenAt(std::int64_t position) const {
    if (!m_maps) return {};
    const Snapshot& shown = *m_maps->snapshot;
    const std::int64_t index = m_maps->choice.sample * shown.length + position;
    if (position < 0 || position >= shown.length || index >= static_cast<std::int64_t>(shown.tokens.size())) return {};
    return m_tokenText ? m_tokenText(shown.tokens[static_cast<std::size_t>(index)]) : std::string();
}

std::string CanvasModel::absence(MapKind kind) const {
    const auto known = snapshot();
    if (!known)
        return m_lanes.empty() ? "No experiment is open."
                               : fmt::format("Nothing of \"{}\" to show yet: maps come with its first snapshot.",
                                             m_lanes[static_cast<std::size_t>(m_choice.lane)]);
    if (!hasMap(*known, kind)) {
        if (known->mechanism == "full")
            return kind == MapKind::Compressed ? "Full attention has no compressed map: every query reads every token."
                   : kind == MapKind::Lifted   ? "Full attention has nothing to lift: its map is the exact one."
                                               : "Full attention does not differ from the exact map.";
        return mapAbsence(*known, kind);
    }
    // What could not be computed takes no other map away.
    const auto index = static_cast<std::size_t>(std::ranges::find(kMapKinds, kind) - kMapKinds.begin());
    if (m_maps && !m_maps->problem.empty() && m_maps->choice == m_choice && !m_maps->maps[index])
        return m_maps->problem;
    return {};
}

}  // namespace linscope::viz

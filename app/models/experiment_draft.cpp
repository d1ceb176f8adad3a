#include "app/models/experiment_draft.h"

#include <QSaveFile>
#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "app/models/lane_name.h"
#include "core/base/error.h"

namespace linscope::app {

namespace {

/// `[where] key: sentence` → {key, sentence}. The key is empty when the text names none of `fields`.
std::pair<std::string, std::string> splitError(std::string text, const std::vector<ExperimentField>& fields) {
    if (const auto end = text.find("] "); text.starts_with('[') && end != std::string::npos)
        text = text.substr(end + 2);
    const auto colon = text.find(": ");
    if (colon == std::string::npos) return {"", text};
    const std::string named = text.substr(0, colon);
    const std::string sentence = text.substr(colon + 2);
    for (const ExperimentField& field : fields)
        if (field.key == named) return {named, sentence};
    // "lane.1.attention" and "lane.1" are shown at the lane's mechanism.
    for (const ExperimentField& field : fields)
        if (!named.empty() && field.key.starts_with(named + ".") && field.key.ends_with(".mechanism"))
            return {field.key, sentence};
    return {"", text};
}

std::vector<std::string> keysOf(const std::vector<ExperimentField>& fields) {
    std::vector<std::string> keys;
    for (const ExperimentField& field : fields) keys.push_back(field.key);
    return keys;
}

/// "lane.1.attention.k" → 1 and "attention.k"; nothing for what is of no lane.
std::optional<std::pair<std::size_t, std::string>> ofLane(const std::string& key) {
    constexpr std::string_view kPrefix = "lane.";
    if (!key.starts_with(kPrefix)) return std::nullopt;
    std::size_t lane = 0;
    const auto [end, error] = std::from_chars(key.data() + kPrefix.size(), key.data() + key.size(), lane);
    if (error != std::errc{} || end == key.data() + key.size()) return std::nullopt;
    return std::pair(lane, std::string(end + 1, key.data() + key.size()));
}

}  // namespace

ExperimentDraft::ExperimentDraft(QObject* parent) : QObject(parent) {}

void ExperimentDraft::load(Experiment experiment) {
    m_experiment = std::move(experiment);
    m_named.assign(m_experiment.lanes.size(), false);
    m_refused.clear();
    Q_EMIT fieldsChanged();
    check();
}

void ExperimentDraft::loadFile(const QString& path) {
    load(Experiment::fromFile(path.toStdString()));
}

void ExperimentDraft::saveFile(const QString& path) const {
    require(isValid(), "experiment", "all fields must be right before they are saved, but {} is not: {}",
            m_errors.begin()->first, m_errors.begin()->second);
    QSaveFile file(path);
    const QByteArray text = QByteArray::fromStdString(m_experiment.toToml());
    require(file.open(QIODevice::WriteOnly) && file.write(text) == text.size() && file.commit(), path.toStdString(),
            "a file that can be written was required, but: {}", file.errorString().toStdString());
}

void ExperimentDraft::set(const std::string& key, const std::string& text) {
    const auto before = fields();
    Experiment changed = m_experiment;
    try {
        changed.set(key, text);
    } catch (const Error& error) {
        m_refused[key] = splitError(error.what(), before).second;
        check();
        return;
    }
    std::swap(m_experiment, changed);
    m_refused.erase(key);
    if (const auto place = ofLane(key); place && place->first < m_experiment.lanes.size()) {
        if (place->second == "name")
            m_named.at(place->first) = true;
        else
            followName(place->first, changed.lanes[place->first]);
    }
    if (keysOf(before) != keysOf(fields())) Q_EMIT fieldsChanged();
    check();
}

void ExperimentDraft::followName(std::size_t lane, const LaneConfig& before) {
    if (m_named.at(lane)) return;
    LaneConfig& after = m_experiment.lanes[lane];
    const auto name = followedName(before, after);
    if (!name || *name == after.name) return;
    after.name = freeName(*name, lane);
    const std::string key = "lane." + std::to_string(lane) + ".name";
    m_refused.erase(key);
    Q_EMIT valueChanged(key, after.name);
}

std::string ExperimentDraft::freeName(const std::string& name, std::size_t except) const {
    const auto taken = [&](const std::string& wanted) {
        for (std::size_t i = 0; i < m_experiment.lanes.size(); ++i)
            if (i != except && m_experiment.lanes[i].name == wanted) return true;
        return false;
    };
    std::string free = name;
    for (int number = 2; taken(free); ++number) free = name + " " + std::to_string(number);
    return free;
}

void ExperimentDraft::addLane() {
    if (!canAddLane()) return;
    LaneConfig lane = m_experiment.lanes.empty() ? LaneConfig{} : m_experiment.lanes.back();
    lane.name = freeName(lane.name.empty() ? "lane" : lane.name, m_experiment.lanes.size());
    m_experiment.lanes.push_back(std::move(lane));
    m_named.push_back(false);
    Q_EMIT fieldsChanged();
    check();
}

void ExperimentDraft::removeLane(std::size_t index) {
    if (index >= m_experiment.lanes.size() || m_experiment.lanes.size() < 2) return;
    m_experiment.lanes.erase(m_experiment.lanes.begin() + static_cast<std::ptrdiff_t>(index));
    m_named.erase(m_named.begin() + static_cast<std::ptrdiff_t>(index));
    // The lanes after it have other keys now, so what was refused there belongs to nobody.
    std::erase_if(m_refused, [](const auto& refused) { return refused.first.starts_with("lane."); });
    Q_EMIT fieldsChanged();
    check();
}

void ExperimentDraft::check() {
    const auto known = fields();
    const auto keys = keysOf(known);
    std::erase_if(m_refused, [&](const auto& refused) {
        return std::find(keys.begin(), keys.end(), refused.first) == keys.end();
    });
    std::map<std::string, std::string> errors = m_refused;
    try {
        m_experiment.validate();
    } catch (const Error& error) {
        errors.insert(splitError(error.what(), known));
    }
    if (errors == m_errors) return;
    m_errors = std::move(errors);
    Q_EMIT errorsChanged();
}

}  // namespace linscope::app

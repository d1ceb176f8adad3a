#include "app/models/experiment_draft.h"

#include <QSaveFile>
#include <algorithm>

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

}  // namespace

ExperimentDraft::ExperimentDraft(QObject* parent) : QObject(parent) {}

void ExperimentDraft::load(Experiment experiment) {
    m_experiment = std::move(experiment);
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
    m_experiment = std::move(changed);
    m_refused.erase(key);
    if (keysOf(before) != keysOf(fields())) Q_EMIT fieldsChanged();
    check();
}

void ExperimentDraft::addLane() {
    if (!canAddLane()) return;
    LaneConfig lane = m_experiment.lanes.empty() ? LaneConfig{} : m_experiment.lanes.back();
    const std::string base = lane.name.empty() ? "lane" : lane.name;
    const auto taken = [&](const std::string& name) {
        return std::any_of(m_experiment.lanes.begin(), m_experiment.lanes.end(),
                           [&](const LaneConfig& other) { return other.name == name; });
    };
    for (int i = 2; taken(lane.name) || lane.name.empty(); ++i) lane.name = base + " " + std::to_string(i);
    m_experiment.lanes.push_back(std::move(lane));
    Q_EMIT fieldsChanged();
    check();
}

void ExperimentDraft::removeLane(std::size_t index) {
    if (index >= m_experiment.lanes.size() || m_experiment.lanes.size() < 2) return;
    m_experiment.lanes.erase(m_experiment.lanes.begin() + static_cast<std::ptrdiff_t>(index));
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

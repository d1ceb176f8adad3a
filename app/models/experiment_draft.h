#pragma once

#include <QObject>
#include <QString>
#include <map>
#include <string>
#include <vector>

#include "core/experiment/experiment.h"

namespace linscope::app {

/// An experiment that is being edited. It is valid at all times but for what errors() names: a text that
/// the experiment refuses is kept here beside its key until it is mended.
class ExperimentDraft : public QObject {
    Q_OBJECT
public:
    explicit ExperimentDraft(QObject* parent = nullptr);

    const Experiment& experiment() const { return m_experiment; }
    std::vector<ExperimentField> fields() const { return fieldsOf(m_experiment); }
    /// Key → sentence; the key is "" for what belongs to no single field.
    const std::map<std::string, std::string>& errors() const { return m_errors; }
    bool isValid() const { return m_errors.empty(); }

    void load(Experiment experiment);
    /// Throws Error as Experiment::fromFile does; the draft is then as before.
    void loadFile(const QString& path);
    /// Throws Error when the file cannot be written or the draft is not valid.
    void saveFile(const QString& path) const;

    /// Takes what a person typed for `key`. A lane's name that says its mechanism or options follows them, unless it
    /// was typed here itself.
    void set(const std::string& key, const std::string& text);
    bool canAddLane() const { return m_experiment.lanes.size() < 6; }
    /// A copy of the last lane under a new name.
    void addLane();
    void removeLane(std::size_t index);

Q_SIGNALS:
    /// Other fields than before: a mechanism was changed, a lane added, another file loaded.
    void fieldsChanged();
    void errorsChanged();
    /// A value has changed by itself, beside the one that was set.
    void valueChanged(const std::string& key, const std::string& text);

private:
    void check();
    void followName(std::size_t lane, const LaneConfig& before);
    /// `name`, or with the first number behind it that no lane but `except` has.
    std::string freeName(const std::string& name, std::size_t except) const;

    Experiment m_experiment;
    std::vector<bool> m_named;                     // by set(), lane by lane
    std::map<std::string, std::string> m_refused;  // by set(), until the key is set to something right
    std::map<std::string, std::string> m_errors;
};

}  // namespace linscope::app

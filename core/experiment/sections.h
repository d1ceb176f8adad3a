#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/experiment/experiment.h"

// How the parts of an experiment are named and described, shared by reading, writing, checking and editing.

namespace linscope {

/// The values that stand above all sections.
struct HeadOptions {
    std::string title;
    std::int64_t seed = 0;
    std::int64_t steps = 0;
    void visit(OptionVisitor& visitor);
};
HeadOptions headOf(const Experiment& experiment);
void setHead(Experiment& experiment, const HeadOptions& head);
/// The specs of title, seed and steps with the defaults of an Experiment.
std::vector<OptionSpec> headSpecs();

OptionSpec taskNameSpec();
OptionSpec laneNameSpec();
OptionSpec mechanismSpec();

/// Calls `function(name, options)` for each section whose options are a plain struct, in the file's order.
template <typename Function>
void forEachSection(Experiment& experiment, Function&& function) {
    function("model", experiment.model);
    function("optimizer", experiment.optimizer);
    function("probes", experiment.probes);
    function("checkpoint", experiment.checkpoint);
}

/// The spec under its dotted key, so that messages name it.
OptionSpec withKey(OptionSpec spec, std::string key);

/// Where the keys of an experiment stand: `FILE:LINE` for what was read from a file.
class Locations {
public:
    explicit Locations(std::string name) : m_name(std::move(name)) {}
    void add(std::string key, std::uint32_t line) { m_lines[std::move(key)] = line; }
    /// Of the key, or of the closest part around it that stands in the file.
    std::string of(std::string_view key) const;

private:
    std::string m_name;
    std::map<std::string, std::uint32_t, std::less<>> m_lines;
};

/// Everything that Experiment::validate() promises; errors begin with `[locations.of(key)] key: `.
void checkExperiment(const Experiment& experiment, const Locations& locations);

}  // namespace linscope

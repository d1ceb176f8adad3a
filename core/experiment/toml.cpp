#include <toml++/toml.h>

#include <algorithm>
#include <cctype>

#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/data/task.h"
#include "core/experiment/experiment.h"
#include "core/experiment/sections.h"
#include "core/options/suggest.h"

namespace linscope {
namespace {

/// What a node is, in the words of a message.
std::string describe(const toml::node& node) {
    if (const auto text = node.value_exact<std::string>()) return toTomlText(*text);
    if (const auto integer = node.value_exact<std::int64_t>()) return toTomlText(*integer);
    if (const auto real = node.value_exact<double>()) return toTomlText(*real);
    if (const auto flag = node.value_exact<bool>()) return toTomlText(*flag);
    if (node.is_array_of_tables()) return "a list of sections";
    if (node.is_array()) return "a list";
    if (node.is_table()) return "a section";
    return "a date or time";
}

/// A key as it can stand in a message of one line.
std::string keyText(std::string_view key) {
    const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
        return c == '_' || c == '-' || (c < 0x80 && std::isalnum(c));
    });
    return bare ? std::string(key) : toTomlText(std::string(key));
}

/// One reading of one file.
class Reader {
public:
    Reader(const toml::table& root, std::string_view name) : m_root(root), m_locations(std::string(name)) {}

    Experiment read() {
        Experiment experiment;
        std::vector<std::string> known{"title", "seed", "steps", "task"};
        forEachSection(experiment, [&](std::string section, auto&) { known.push_back(section); });
        known.push_back("lane");
        locate(m_root, "");
        checkKeys(m_root, "", known);

        setHead(experiment, optionsFrom<HeadOptions>(values(m_root, "", headSpecs()), ""));
        readTask(experiment.task);
        forEachSection(experiment, [&](std::string section, auto& options) {
            using Options = std::decay_t<decltype(options)>;
            const std::vector<OptionSpec> specs = specsOf<Options>();
            const toml::table& table = sectionAt(m_root, section, section);
            checkKeys(table, section + ".", namesOf(specs));
            options = optionsFrom<Options>(values(table, section + ".", specs), section);
        });
        readLanes(experiment.lanes);
        checkExperiment(experiment, m_locations);
        return experiment;
    }

private:
    static std::vector<std::string> namesOf(const std::vector<OptionSpec>& specs) {
        std::vector<std::string> names;
        for (const OptionSpec& spec : specs) names.push_back(spec.name);
        return names;
    }

    /// Notes the line of everything in the table, lanes by their number.
    void locate(const toml::table& table, const std::string& prefix) {
        for (const auto& [key, node] : table) {
            const std::string dotted = prefix + std::string(key.str());
            // A section's node begins where its header stands, an implied one where its first key does.
            m_locations.add(dotted, node.source().begin.line ? node.source().begin.line : key.source().begin.line);
            if (const toml::table* inner = node.as_table()) locate(*inner, dotted + ".");
            if (const toml::array* list = node.as_array(); list && list->is_array_of_tables()) {
                for (std::size_t i = 0; i < list->size(); ++i) {
                    const std::string item = fmt::format("{}.{}", dotted, i);
                    m_locations.add(item, (*list)[i].source().begin.line);
                    locate(*(*list)[i].as_table(), item + ".");
                }
            }
        }
    }

    /// Throws for the first unknown key in the order of the file.
    void checkKeys(const toml::table& table, const std::string& prefix, const std::vector<std::string>& known) const {
        std::vector<const toml::key*> unknown;
        for (const auto& [key, node] : table) {
            if (std::find(known.begin(), known.end(), key.str()) == known.end()) unknown.push_back(&key);
        }
        if (unknown.empty()) return;
        const toml::key& first = **std::min_element(unknown.begin(), unknown.end(), [](const auto* a, const auto* b) {
            return a->source().begin < b->source().begin;
        });
        fail(m_locations.of(prefix + std::string(first.str())), "{}{}: unknown key; {}", prefix, keyText(first.str()),
             suggestion(first.str(), known));
    }

    /// The table of that name, an empty one where it is left out.
    const toml::table& sectionAt(const toml::table& parent, std::string_view name, const std::string& key) const {
        static const toml::table nothing;
        const toml::node* node = parent.get(name);
        if (!node) return nothing;
        const toml::table* table = node->as_table();
        const std::string form =
            key.starts_with("lane.") ? std::string("{ mechanism = \"full\" }") : fmt::format("[{}]", key);
        require(table, m_locations.of(key), "{}: expected a section {}, but found {}", key, form, describe(*node));
        return *table;
    }

    OptionValue valueOf(const toml::node& node, const OptionSpec& spec, const std::string& where) const {
        if (const auto text = node.value_exact<std::string>()) return *text;
        if (const auto integer = node.value_exact<std::int64_t>()) return *integer;
        if (const auto real = node.value_exact<double>()) return *real;
        if (const auto flag = node.value_exact<bool>()) return *flag;
        if (const toml::array* list = node.as_array(); list && spec.type == OptionType::PerLayer) {
            std::vector<std::int64_t> entries;
            for (const toml::node& entry : *list) {
                const auto integer = entry.value_exact<std::int64_t>();
                require(integer.has_value(), where, "{}: expected integers in the list, one per layer, but found {}",
                        spec.name, describe(entry));
                entries.push_back(*integer);
            }
            return entries;
        }
        fail(where, "{}: expected {}, but found {}", spec.name, expectedText(spec), describe(node));
    }

    /// The values of `specs` that the table holds, each checked, in the order of `specs`.
    OptionValues values(const toml::table& table, const std::string& prefix,
                        const std::vector<OptionSpec>& specs) const {
        OptionValues found;
        for (const OptionSpec& spec : specs) {
            const toml::node* node = table.get(spec.name);
            if (!node) {
                found.emplace_back(spec.name, spec.standard);
                continue;
            }
            const std::string key = prefix + spec.name;
            const std::string where = m_locations.of(key);
            const OptionSpec named = withKey(spec, key);
            found.emplace_back(spec.name, checkedValue(named, valueOf(*node, named, where), where));
        }
        return found;
    }

    void readTask(TaskConfig& task) const {
        const toml::table& table = sectionAt(m_root, "task", "task");
        task.name = std::get<std::string>(values(table, "task.", {taskNameSpec()}).front().second);
        const std::vector<OptionSpec>& specs = findTask(task.name).options;
        std::vector<std::string> known = namesOf(specs);
        known.insert(known.begin(), "name");
        checkKeys(table, "task.", known);
        task.options = values(table, "task.", specs);
    }

    void readLanes(std::vector<LaneConfig>& lanes) const {
        const toml::node* node = m_root.get("lane");
        if (!node) return;
        const toml::array* list = node->as_array();
        require(list && list->is_array_of_tables(), m_locations.of("lane"),
                "lane: expected sections with the header [[lane]], but found {}", describe(*node));
        for (std::size_t i = 0; i < list->size(); ++i) {
            const toml::table& table = *(*list)[i].as_table();
            const std::string prefix = fmt::format("lane.{}.", i), attention = prefix + "attention";
            checkKeys(table, prefix, {"name", "attention"});
            LaneConfig& lane = lanes.emplace_back();
            lane.name = std::get<std::string>(values(table, prefix, {laneNameSpec()}).front().second);
            const toml::table& chosen = sectionAt(table, "attention", attention);
            // No default: a lane whose mechanism was forgotten would be taken for what it was meant to be.
            const OptionSpec mechanism = withKey(mechanismSpec(), attention + ".mechanism");
            require(chosen.contains("mechanism"), m_locations.of(mechanism.name),
                    "{}: expected {}, but the lane {} has none", mechanism.name, expectedText(mechanism),
                    toTomlText(lane.name));
            lane.mechanism = std::get<std::string>(values(chosen, attention + ".", {mechanismSpec()}).front().second);
            const std::vector<OptionSpec>& specs = findMechanism(lane.mechanism).options;
            std::vector<std::string> known = namesOf(specs);
            known.insert(known.begin(), "mechanism");
            checkKeys(chosen, attention + ".", known);
            lane.options = values(chosen, attention + ".", specs);
        }
    }

    const toml::table& m_root;
    Locations m_locations;
};

}  // namespace

Experiment Experiment::fromToml(std::string_view text, std::string_view name) {
    toml::table root;
    try {
        root = toml::parse(text, name);
    } catch (const toml::parse_error& error) {
        fail(fmt::format("{}:{}", name, error.source().begin.line), "expected TOML, but found: {}",
             error.description());
    }
    return Reader(root, name).read();
}

std::string Experiment::toToml() const {
    std::string out, section = "experiment", attention;
    const auto endLane = [&] {
        if (!attention.empty()) out += fmt::format("attention = {{ {} }}\n", attention);
        attention.clear();
    };
    for (const ExperimentField& field : fieldsOf(*this)) {
        if (field.section != section) {
            endLane();
            section = field.section;
            out += section.starts_with("lane.") ? "\n[[lane]]\n" : fmt::format("\n[{}]\n", section);
        }
        const std::string entry = fmt::format("{} = {}", field.spec.name, toTomlText(field.value));
        if (field.key.find(".attention.") != std::string::npos)
            attention += (attention.empty() ? "" : ", ") + entry;
        else
            out += entry + "\n";
    }
    endLane();
    return out;
}

}  // namespace linscope

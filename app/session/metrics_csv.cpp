#include "app/session/metrics_csv.h"

#include <fmt/format.h>

#include <map>
#include <ostream>

namespace linscope::app {

std::string csvField(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

void writeMetricsCsv(std::ostream& out, const std::vector<RunLane>& lanes, const std::vector<std::string>& metrics) {
    out << "step,lane,run,task";
    for (const std::string& metric : metrics) out << ',' << csvField(metric);
    out << "\r\n";
    for (const RunLane& lane : lanes) {
        std::map<std::int64_t, std::vector<std::string>> rows;
        for (std::size_t column = 0; column < metrics.size(); ++column)
            if (const Series* series = findSeries(*lane.record, metrics[column]))
                for (std::size_t i = 0; i < series->steps.size(); ++i) {
                    auto& row = rows[series->steps[i]];
                    row.resize(metrics.size());
                    row[column] = fmt::format("{}", series->values[i]);
                }
        for (const auto& [step, values] : rows) {
            out << step << ',' << csvField(lane.record->name) << ',' << csvField(lane.run) << ','
                << csvField(lane.task);
            for (const std::string& value : values) out << ',' << value;
            out << "\r\n";
        }
    }
}

}  // namespace linscope::app

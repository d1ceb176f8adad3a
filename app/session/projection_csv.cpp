#include "app/session/projection_csv.h"

#include <fmt/format.h>

#include <array>
#include <ostream>
#include <string_view>

#include "app/session/metrics_csv.h"

namespace linscope::app {

namespace {
constexpr std::array<std::string_view, 3> kConditioning{"condition_number", "stable_rank", "effective_rank"};
constexpr std::array<std::string_view, 4> kDrift{"frobenius_drift", "scale", "cosine", "subspace_overlap"};
}  // namespace

void writeProjectionCsv(std::ostream& out, const ProjectionTable& table, const ProjectionSeries& series) {
    out << "run,lane,matrix,step,measure,index,value\r\n";
    for (std::size_t at = 0; at < series.steps.size(); ++at) {
        const std::string row = fmt::format("{},{},{},{}", csvField(table.run), csvField(table.lane),
                                            csvField(series.label), series.steps[at]);
        const auto numbers = [&](std::string_view measure, const std::vector<std::vector<float>>& values) {
            if (at >= values.size()) return;
            for (std::size_t i = 0; i < values[at].size(); ++i)
                out << fmt::format("{},{},{},{}\r\n", row, measure, i + 1, values[at][i]);
        };
        const auto number = [&](std::string_view measure) {
            const auto found = series.measures.find(std::string(measure));
            if (found != series.measures.end() && at < found->second.size())
                out << fmt::format("{},{},,{}\r\n", row, measure, found->second[at]);
        };
        if (table.spectrum) numbers("singular_value", series.spectrum);
        if (table.conditioning)
            for (const std::string_view measure : kConditioning) number(measure);
        if (!table.drift) continue;
        for (const std::string_view measure : kDrift) number(measure);
        numbers("principal_angle_radians", series.angles);
    }
}

}  // namespace linscope::app

#include "app/panels/run_marks.h"

#include <algorithm>

#include "app/shell/theme.h"

namespace linscope::app {

std::vector<ChartMark> runMarks(const RunRecord& record) {
    std::vector<ChartMark> marks;
    for (const LogEntry& entry : record.log) {
        if (entry.kind != LogKind::Change) continue;
        QString text = QString::fromStdString(entry.mark);
        QColor color;
        if (entry.lane >= 0 && entry.lane < static_cast<int>(record.lanes.size())) {
            text += " · " + QString::fromStdString(record.lanes[static_cast<std::size_t>(entry.lane)].name);
            color = laneColor(entry.lane);
        }
        const auto step = static_cast<double>(entry.step);
        // What was changed between the same two steps stands at one line.
        if (!marks.empty() && marks.back().x == step) {
            marks.back().text += ", " + text;
            marks.back().color = marks.back().color == color ? color : QColor();
        } else {
            marks.push_back({step, text, color});
        }
    }
    std::stable_sort(marks.begin(), marks.end(), [](const ChartMark& a, const ChartMark& b) { return a.x < b.x; });
    return marks;
}

}  // namespace linscope::app

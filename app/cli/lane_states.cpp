#include "app/cli/lane_states.h"

#include <fmt/format.h>

namespace linscope::app {

std::string lineOf(std::string text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte < ' ' || byte == 0x7F) text[i] = ' ';
        // U+0080 to U+009F, of which some begin what an escape does.
        const bool second = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if (second) text.replace(i, 2, " ");
    }
    return text;
}

std::string stopText(const RunFileReader& run, int lane, LaneState state, const std::string& message) {
    std::string text = nameOf(state);
    for (const Event& event : run.log())
        if (const auto* logged = std::get_if<LaneStateEvent>(&event);
            logged && logged->lane == lane && logged->state == state)
            text = fmt::format("{} at step {}", nameOf(state), logged->step);
    return message.empty() ? text : fmt::format("{}: {}", text, message);
}

std::string stateText(const RunFileReader& run, const LaneRecord& lane) {
    return lane.state != LaneState::Running ? nameOf(lane.state) : stateName(run.state(), run.health());
}

}  // namespace linscope::app

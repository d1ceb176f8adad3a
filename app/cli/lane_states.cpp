#include "app/cli/lane_states.h"

#include <fmt/format.h>

namespace linscope::app {

std::string lineOf(std::string name) {
    for (char& character : name)
        if (static_cast<unsigned char>(character) < ' ' || character == 0x7F) character = ' ';
    return name;
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
    if (lane.state != LaneState::Running) return nameOf(lane.state);
    return run.health() == "cut off while writing" ? "cut off" : nameOf(run.state());
}

}  // namespace linscope::app

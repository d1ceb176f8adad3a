#include "core/io/lane_layouts.h"

#include "core/train/lane.h"
#include "core/train/trainer.h"

namespace linscope {

std::vector<LaneLayout> laneLayouts(Trainer& trainer) {
    std::vector<LaneLayout> layouts;
    for (std::size_t i = 0; i < trainer.laneCount(); ++i) {
        const Lane& lane = trainer.lane(i);
        layouts.push_back({.name = lane.config().name,
                           .mechanism = lane.config().mechanism,
                           .parameters = lane.parameters().elements(),
                           .projections = lane.projections(),
                           .attentionParameters = lane.attentionParameters()});
    }
    return layouts;
}

}  // namespace linscope

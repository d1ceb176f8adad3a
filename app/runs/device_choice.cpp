#include "app/runs/device_choice.h"

#include "core/attention/mechanism.h"
#include "core/base/error.h"
#include "core/cuda/device.h"

namespace linscope::app {

Device chosenDevice(const std::string& device, const Experiment& experiment) {
    if (device == "cpu") return Device::Cpu;
    if (device == "cuda") requireCuda();
    if (!cudaAvailable()) return Device::Cpu;
    for (const LaneConfig& lane : experiment.lanes) {
        try {
            requireForm(findMechanism(lane.mechanism), lane.options, experiment.attentionSizes(), Device::Cuda);
        } catch (const Error&) {
            if (device == "cuda") throw;
            return Device::Cpu;
        }
    }
    return Device::Cuda;
}

}  // namespace linscope::app

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "viz/gpu/device.h"

namespace linscope {
class DeviceContext;
}

namespace linscope::viz {

/// The CUDA device that contexts compute on; none in a build without CUDA and on a machine without a device.
std::optional<DeviceUuid> computingDevice();

/// Memory and a timeline that Vulkan has exported, as CUDA sees them. Takes over both descriptors, also when it throws
/// Error. Work that uses it must be done before it is destroyed.
class CudaImport {
public:
    CudaImport(int memory, std::size_t bytes, int timeline);
    ~CudaImport();
    CudaImport(const CudaImport&) = delete;
    CudaImport& operator=(const CudaImport&) = delete;

    void* data() const;
    /// What is asked of the context from here on waits for the timeline to reach `value`.
    void await(DeviceContext& context, std::uint64_t value);
    /// Sets the timeline to `value` after what has been asked of the context so far.
    void signal(DeviceContext& context, std::uint64_t value);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

}  // namespace linscope::viz

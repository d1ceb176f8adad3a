#include "viz/interop/cuda_import.h"

#include <cuda_runtime_api.h>
#include <unistd.h>

#include <algorithm>

#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/device.h"

namespace linscope::viz {

using cuda::check;

std::optional<DeviceUuid> computingDevice() {
    if (!cudaAvailable()) return std::nullopt;
    int device = 0;
    cudaDeviceProp properties{};
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaGetDeviceProperties(&properties, device), "reading the device's properties");
    DeviceUuid uuid;
    std::copy_n(properties.uuid.bytes, uuid.size(), reinterpret_cast<char*>(uuid.data()));
    return uuid;
}

/// Holds the descriptors until CUDA has taken each of them over, which it does when an import succeeds.
struct CudaImport::State {
    int memoryDescriptor, timelineDescriptor;
    cudaExternalMemory_t memory = nullptr;
    cudaExternalSemaphore_t timeline = nullptr;
    void* data = nullptr;
    ~State() {
        if (data) cudaFree(data);
        if (memory) cudaDestroyExternalMemory(memory);
        if (timeline) cudaDestroyExternalSemaphore(timeline);
        if (memoryDescriptor >= 0) close(memoryDescriptor);
        if (timelineDescriptor >= 0) close(timelineDescriptor);
    }
};

CudaImport::CudaImport(int memory, std::size_t bytes, int timeline) : m_state(new State{memory, timeline}) {
    cudaExternalMemoryHandleDesc memoryDesc{};
    memoryDesc.type = cudaExternalMemoryHandleTypeOpaqueFd;
    memoryDesc.handle.fd = memory;
    memoryDesc.size = bytes;
    check(cudaImportExternalMemory(&m_state->memory, &memoryDesc), "importing memory of Vulkan");
    m_state->memoryDescriptor = -1;
    cudaExternalMemoryBufferDesc bufferDesc{};
    bufferDesc.size = bytes;
    check(cudaExternalMemoryGetMappedBuffer(&m_state->data, m_state->memory, &bufferDesc), "mapping memory of Vulkan");

    cudaExternalSemaphoreHandleDesc timelineDesc{};
    timelineDesc.type = cudaExternalSemaphoreHandleTypeTimelineSemaphoreFd;
    timelineDesc.handle.fd = timeline;
    check(cudaImportExternalSemaphore(&m_state->timeline, &timelineDesc), "importing a timeline of Vulkan");
    m_state->timelineDescriptor = -1;
}

CudaImport::~CudaImport() = default;

void* CudaImport::data() const {
    return m_state->data;
}

void CudaImport::await(DeviceContext& context, std::uint64_t value) {
    cudaExternalSemaphoreWaitParams params{};
    params.params.fence.value = value;
    check(cudaWaitExternalSemaphoresAsync(&m_state->timeline, &params, 1, context.stream()), "waiting for Vulkan");
}

void CudaImport::signal(DeviceContext& context, std::uint64_t value) {
    cudaExternalSemaphoreSignalParams params{};
    params.params.fence.value = value;
    check(cudaSignalExternalSemaphoresAsync(&m_state->timeline, &params, 1, context.stream()), "signalling Vulkan");
}

}  // namespace linscope::viz

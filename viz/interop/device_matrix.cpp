#include "viz/interop/device_matrix.h"

#include <utility>

#include "core/base/error.h"
#include "core/cuda/context.h"

namespace linscope::viz {

DeviceMatrix::DeviceMatrix(Device& device, std::int64_t rows, std::int64_t cols, MapRoute route, DeviceContext* context)
    : m_device(device), m_rows(rows), m_cols(cols), m_route(std::move(route)), m_context(context) {
    require(rows > 0 && cols > 0, "interop", "a matrix with cells is required, but it has {} × {}", rows, cols);
    const std::int64_t limit = device.properties().limits.maxTexelBufferElements;
    require(rows <= limit / cols, "interop", "a matrix of at most {} cells is required, but it has {} × {}", limit,
            rows, cols);
    require(context || m_route.path == MapPath::Processor, "interop",
            "a CUDA context is required for maps that CUDA computes, but there is none");
    const bool shared = m_route.path == MapPath::Shared;
    m_buffer = std::make_shared<Buffer>(device, bytes(), VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
                                        shared ? MemoryKind::Exported : MemoryKind::Upload);
    if (shared) {
        m_timeline.emplace(device, true);
        const int timeline = m_timeline->exportSemaphore();
        m_imported.emplace(m_buffer->exportMemory(device), m_buffer->allocatedBytes(), timeline);
    } else if (m_route.path == MapPath::Staged) {
        m_staged = context->allocate(bytes());
    }
}

DeviceMatrix::~DeviceMatrix() {
    try {
        if (m_context) m_context->wait();
        m_device.waitIdle();
    } catch (...) {
        // A lost device still has to have its objects destroyed.
    }
    if (m_staged) m_context->release(m_staged);
}

float* DeviceMatrix::beginWriting() {
    switch (m_route.path) {
        case MapPath::Shared:
            m_timeline->signal(++m_time);
            m_imported->await(*m_context, m_time);
            return static_cast<float*>(m_imported->data());
        case MapPath::Staged:
            return static_cast<float*>(m_staged);
        case MapPath::Processor:
            break;
    }
    m_device.waitIdle();
    return static_cast<float*>(m_buffer->mapped());
}

void DeviceMatrix::endWriting() {
    if (m_route.path == MapPath::Shared) {
        m_imported->signal(*m_context, ++m_time);
        m_timeline->await(m_time);
    } else if (m_route.path == MapPath::Staged) {
        m_device.waitIdle();  // frames may be reading what the copy replaces
        m_context->toHost(m_buffer->mapped(), m_staged, bytes());
        m_context->wait();
    }
}

}  // namespace linscope::viz

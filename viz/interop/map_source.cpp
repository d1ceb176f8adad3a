#include "viz/interop/map_source.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "core/analysis/device_maps.h"
#include "core/base/error.h"
#include "core/cuda/context.h"
#include "core/tensor/arena.h"

namespace linscope::viz {

MapSource::MapSource(Device& device) : m_device(device) {}

MapSource::~MapSource() = default;

void MapSource::setRoute(const MapRoute& route) {
    const std::lock_guard lock(m_lock);
    m_route = route;
    m_known = true;
}

MapRoute MapSource::route() {
    if (!m_wanted) return {};
    if (!m_known) m_route = chooseRoute(m_device.uuid(), m_device.deviceExtensions(), computingDevice());
    m_known = true;
    if (m_route.path != MapPath::Processor && !m_context) {
        m_context = std::make_shared<DeviceContext>();
        m_arena = std::make_unique<Arena>(m_context.get());
    }
    return m_route;
}

std::shared_ptr<DeviceMatrix> MapSource::unused(std::int64_t rows, std::int64_t cols) {
    const auto isFree = [](const auto& matrix) { return matrix.use_count() == 1; };
    const auto fits = [&](const auto& matrix) {
        return isFree(matrix) && matrix->rows() == rows && matrix->cols() == cols &&
               matrix->route().path == m_route.path;
    };
    const auto found = std::find_if(m_matrices.begin(), m_matrices.end(), fits);
    if (found != m_matrices.end()) {
        std::atomic_thread_fence(std::memory_order_acquire);  // after all that its last holder did
        return *found;
    }
    std::erase_if(m_matrices, isFree);  // of another size: those of a choice that is gone
    // A picture may outlive its source, and needs the context until it goes.
    return m_matrices.emplace_back(new DeviceMatrix(m_device, rows, cols, m_route, m_context.get()),
                                   [context = m_context](DeviceMatrix* matrix) { delete matrix; });
}

template <typename Write>
ComputedMap MapSource::written(AttentionMap map, const Write& write) {
    std::vector<float>& values = map.matrix.values;
    values.resize(static_cast<std::size_t>(map.matrix.rows * map.matrix.cols));
    const std::shared_ptr<DeviceMatrix> cells = unused(map.matrix.rows, map.matrix.cols);
    float* out = cells->beginWriting();
    write(out, values);
    m_context->wait();
    cells->endWriting();
    return {std::move(map), m_route, cells};
}

ComputedMap MapSource::map(const Snapshot& snapshot, const MapRequest& request, const std::stop_token& stop) {
    std::string reason = deviceMapAbsence(snapshot, request);
    try {
        const std::lock_guard lock(m_lock);
        const MapRoute route = this->route();
        if (route.path == MapPath::Processor) {
            reason = route.reason;
        } else if (reason.empty()) {
            m_arena->reset();
            return written(deviceMapOutline(snapshot, request), [&](float* out, std::vector<float>& values) {
                cuda::attentionMap(*m_arena, snapshot, request, out);
                m_context->toHost(values.data(), out, values.size() * sizeof(float));
            });
        }
    } catch (const Error& error) {
        reason = error.what();  // short of memory, say: the map is worth more than the way it comes
    }
    return {attentionMap(snapshot, request, stop), {MapPath::Processor, reason}};
}

ComputedMap MapSource::projection(const Projection& projection) {
    AttentionMap map;
    map.matrix = {.rows = projection.slots, .cols = projection.length, .values = projection.values};
    map.isSigned = true;
    std::string reason;
    try {
        const std::lock_guard lock(m_lock);
        if (const MapRoute route = this->route(); route.path == MapPath::Shared)
            return written(map, [&](float* out, const std::vector<float>& values) {
                m_context->toDevice(out, values.data(), values.size() * sizeof(float));
            });
        else
            reason = route.reason;
    } catch (const Error& error) {
        reason = error.what();
    }
    return {std::move(map), {MapPath::Processor, reason}};
}

}  // namespace linscope::viz

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/analysis/maps.h"
#include "viz/interop/device_matrix.h"
#include "viz/interop/map_route.h"

namespace linscope {
class Arena;
}

namespace linscope::viz {

/// A map with its numbers for the processor, and the cells that it is drawn from.
struct ComputedMap {
    ComputedMap(AttentionMap computed, MapRoute way = {}, std::shared_ptr<const DeviceMatrix> drawn = nullptr)
        : map(std::move(computed)), route(std::move(way)), cells(std::move(drawn)) {}

    AttentionMap map;
    MapRoute route;
    std::shared_ptr<const DeviceMatrix> cells;  ///< written by CUDA; null: drawn from the numbers
};

/// Computes maps where they are drawn: on the CUDA device where there is one and the map has a form there
/// (deviceMapAbsence()), else on the processor, with the reason in the route.
///
/// CUDA writes a map into memory that frames draw from. Beside it, off the way to the screen, the numbers are copied
/// back once: histogram, range, and values under the cursor are the processor's, as for any other map. A DeviceMatrix
/// is written again only when nobody but its source holds it; so whoever draws its cells keeps it. Work is done when a
/// call returns, so that no frame waits for a map. Any thread may call.
class MapSource {
public:
    /// `device` draws and must outlive all maps. Nothing is asked of CUDA before the first map.
    explicit MapSource(Device& device);
    ~MapSource();
    MapSource(const MapSource&) = delete;
    MapSource& operator=(const MapSource&) = delete;

    /// With false, everything is computed on the processor from here on. At first it is true.
    void setCuda(bool wanted) { m_wanted = wanted; }
    /// Takes another route than chooseRoute()'s, for tests.
    void setRoute(const MapRoute& route);

    /// attentionMap() of the request.
    ComputedMap map(const Snapshot& snapshot, const MapRequest& request, const std::stop_token& stop = {});
    /// E or F as a picture [K,T], signed. A snapshot's values lie in the processor's memory: CUDA brings them to where
    /// they are drawn, where it shares that memory, and else they are drawn as they lie.
    ComputedMap projection(const Projection& projection);

private:
    /// How maps that have a form on the device reach the screen; unless that is the processor, there is a context.
    MapRoute route();
    std::shared_ptr<DeviceMatrix> unused(std::int64_t rows, std::int64_t cols);
    template <typename Write>
    ComputedMap written(AttentionMap map, const Write& write);

    Device& m_device;
    std::atomic<bool> m_wanted{true};
    std::mutex m_lock;  ///< of what follows
    bool m_known = false;
    MapRoute m_route;
    std::shared_ptr<DeviceContext> m_context;
    std::unique_ptr<Arena> m_arena;
    std::vector<std::shared_ptr<DeviceMatrix>> m_matrices;
};

}  // namespace linscope::viz

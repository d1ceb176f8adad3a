#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/analysis/maps.h"
#include "viz/heatmap/histogram.h"
#include "viz/interop/map_source.h"

namespace linscope::viz {

/// Which head of which lane a picture is about.
struct HeadChoice {
    int lane = 0, layer = 0, head = 0, sample = 0;
    bool operator==(const HeadChoice&) const = default;
};

inline constexpr int kMapCount = 4;
inline constexpr std::array<MapKind, kMapCount> kMapKinds{MapKind::Exact, MapKind::Compressed, MapKind::Lifted,
                                                          MapKind::Difference};

/// How the values of one picture are distributed, for ranges and for the histogram under them.
struct ValueStatistics {
    Histogram values;   ///< as they are
    Histogram decades;  ///< of log₁₀ of the positive ones
};
ValueStatistics statisticsOf(const Matrix& matrix);

/// How much of a head is computed.
enum class MapScope {
    Whole,        ///< all its maps, then its fidelity
    Own,          ///< ownMap() alone: what lanes are compared by
    Projections,  ///< E and F as pictures, and no map
};

/// A head whose maps are wanted.
struct MapJob {
    std::shared_ptr<const Snapshot> snapshot;
    HeadChoice choice;
    MapScope scope = MapScope::Whole;
    bool operator==(const MapJob&) const = default;
    bool isOfHead(const MapJob& other) const { return choice == other.choice && scope == other.scope; }
};

/// E or F as a picture [K,T], signed.
struct ProjectionPicture {
    std::string label;
    std::shared_ptr<const Matrix> matrix;
    ValueStatistics statistics;
    std::shared_ptr<const DeviceMatrix> cells;  ///< what it is drawn from; null: the matrix
};

/// Maps of one head at one step, from one snapshot.
struct MapSet {
    HeadChoice choice;
    std::shared_ptr<const Snapshot> snapshot;
    MapScope scope = MapScope::Whole;
    std::array<std::shared_ptr<const AttentionMap>, kMapCount> maps;     ///< by kMapKinds; null: there is no such map
    std::array<ValueStatistics, kMapCount> statistics;                   ///< of the maps that are there
    std::optional<HeadFidelity> fidelity;                                ///< comes in a second answer, after the maps
    std::string problem;                                                 ///< why maps or fidelity could not be computed
    std::array<MapRoute, kMapCount> routes{};                            ///< where they were computed, what that costs
    std::array<std::shared_ptr<const DeviceMatrix>, kMapCount> cells{};  ///< what they are drawn from; null: the maps
    double milliseconds = 0;                                             ///< what the maps cost
    /// Of MapScope::Projections: E, and F where it is another matrix; none where the mechanism has none.
    std::vector<ProjectionPicture> projections = {};

    /// Of MapScope::Own: where the one map is; −1: there is none.
    int ownIndex() const;
    /// MapRoute::sentence() of all maps, or where they differ of each: "exact: …; lifted, difference: …".
    std::string routeSentence() const;
};

/// Computes maps on a thread of its own. The newest request wins: one that waits is replaced; what is
/// in work is given up only when its head is asked for no more, so that snapshots that come faster than
/// maps can be computed still lead to pictures.
class MapService {
public:
    /// What is computed; exchangeable for tests.
    struct Work {
        /// They throw when they are stopped, soon.
        std::function<ComputedMap(const Snapshot&, const MapRequest&, const std::stop_token&)> map;
        std::function<HeadFidelity(const Snapshot&, const HeadChoice&, const std::stop_token&)> fidelity;
        std::function<bool(const Snapshot&, MapKind)> has;
        /// Empty: drawn from the processor's memory.
        std::function<ComputedMap(const Projection&)> projection = {};
    };
    /// With a source it computes the maps, else the processor does.
    static Work realWork(std::shared_ptr<MapSource> source = nullptr);

    /// `onAnswer` is called on the service's thread when take() has something new.
    explicit MapService(std::function<void()> onAnswer, Work work = realWork());
    ~MapService();
    MapService(const MapService&) = delete;
    MapService& operator=(const MapService&) = delete;

    /// Wants these heads, one after another, and no others. What is in work or waits to be taken is not done twice.
    void request(std::vector<MapJob> jobs);
    /// Answers not taken yet, of each head the newest. Never waits for a computation.
    std::vector<std::shared_ptr<const MapSet>> take();
    bool busy() const;

private:
    void run();
    void compute(const MapJob& job, const std::stop_token& stop);
    void computeMaps(const MapJob& job, const std::stop_token& stop, MapSet& set);
    void computeProjections(const MapJob& job, const std::stop_token& stop, MapSet& set);
    void answer(std::shared_ptr<const MapSet> set, const std::stop_token& stop);

    std::function<void()> m_onAnswer;
    Work m_work;
    mutable std::mutex m_mutex;
    std::condition_variable m_wake;
    std::deque<MapJob> m_waiting;
    std::optional<MapJob> m_current;  ///< in work
    std::stop_source m_givenUp;       ///< and asked for no more
    std::vector<std::shared_ptr<const MapSet>> m_answers;
    bool m_stop = false;
    std::thread m_thread;
};

}  // namespace linscope::viz

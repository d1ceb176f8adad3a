#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viz/canvas/canvas_page.h"
#include "viz/canvas/colouring.h"
#include "viz/canvas/linked_view.h"
#include "viz/canvas/map_service.h"
#include "viz/heatmap/colour_map.h"

namespace linscope::viz {

/// The cell that is looked at, in units of the axes; −1: none. A key token and a slot exclude each other.
struct CanvasCursor {
    std::int64_t row = -1, key = -1, slot = -1;
    bool pinned = false;  ///< stays when the mouse leaves
};

/// Everything the canvas shows, without drawing: lanes, the newest snapshot of each, the chosen head, its
/// maps (computed elsewhere, taken when ready), colours, cursor and zoom. Used by one thread.
class CanvasModel {
public:
    /// `onMaps` is called on another thread when update() has something to take.
    explicit CanvasModel(std::function<void()> onMaps, MapService::Work work = MapService::realWork());

    /// `colours` are those that the lanes have elsewhere, as in charts; without them panes show none.
    void setLanes(std::vector<std::string> names, std::vector<Colour> colours = {});
    void setLaneColours(std::vector<Colour> colours) { m_colours = std::move(colours); }
    /// Why the run failed, and no snapshot comes; empty while one may.
    void setFailure(std::string why) { m_failure = std::move(why); }
    /// Keeps the newest snapshot of its lane. Until a person chooses a lane, the first one whose
    /// mechanism has a lifted map is shown.
    void setSnapshot(std::shared_ptr<const Snapshot> snapshot);
    void setTokenText(std::function<std::string(std::int32_t)> text) { m_tokenText = std::move(text); }

    const std::vector<std::string>& lanes() const { return m_lanes; }
    std::optional<Colour> colourOf(int lane) const;
    const HeadChoice& choice() const { return m_choice; }
    /// The same head in that lane.
    HeadChoice choiceIn(int lane) const;
    /// Chooses another head: indices are kept inside what the lane has.
    void choose(HeadChoice choice);
    /// For sessions: the choice, with lane −1 while nobody has chosen one.
    HeadChoice savedChoice() const;
    void restoreChoice(HeadChoice choice);
    /// The newest snapshot of the chosen lane; nullptr: none came yet.
    std::shared_ptr<const Snapshot> snapshot() const;

    CanvasPage page() const { return m_page; }
    void setPage(CanvasPage page);

    /// Takes maps that are ready; true when there were any. Until then the previous ones stay.
    bool update();
    std::shared_ptr<const MapSet> maps() const { return m_maps; }
    /// Of CanvasPage::Lanes: the own map of the chosen head in that lane; nullptr: none was computed yet.
    std::shared_ptr<const MapSet> own(int lane) const;
    bool busy() const { return m_service.busy(); }
    /// Of the head that the maps show. Those of a step take longer than its maps: until they are there, the figures of
    /// the step before stay, and `step` says of which they are. Null: there are none yet.
    struct KnownFidelity {
        HeadChoice choice;
        std::int64_t step = 0;
        HeadFidelity figures;
    };
    const KnownFidelity* fidelity() const { return m_fidelity ? &*m_fidelity : nullptr; }

    /// Of CanvasPage::Projection: E and F of the chosen head; nullptr: none were made ready yet. Until those of another
    /// head or step are, the previous ones stay.
    std::shared_ptr<const MapSet> projections() const { return m_projections; }

    /// Text of the token at a place of the sequence that the maps show.
    std::string tokenAt(std::int64_t position) const;
    std::int64_t tokenCount() const { return m_view.tokens(); }

    CanvasCursor cursor;
    std::function<void(const HeadChoice&)> onChoice;
    std::function<void()> onPage;  ///< a person went to another page in the canvas
    LinkedView& view() { return m_view; }
    const LinkedView& view() const { return m_view; }
    Colouring& colouring() { return m_colouring; }
    const Colouring& colouring() const { return m_colouring; }

    /// Why the chosen lane has no map of this kind, in a sentence; empty where it has one or may get one.
    std::string absence(MapKind kind) const { return absence(kind, m_choice.lane, m_maps.get()); }
    /// The same of any lane's own map.
    std::string ownAbsence(int lane) const;

private:
    void request();
    void requestOwn();
    void take(std::shared_ptr<const MapSet> answer);
    /// Automatic ranges are those of what is shown.
    void tellStatistics();
    HeadChoice clamped(HeadChoice choice) const;
    std::shared_ptr<const Snapshot> snapshotOf(int lane) const;
    /// `set`: what was computed of it last; nullptr: nothing.
    std::string absence(MapKind kind, int lane, const MapSet* set) const;

    std::vector<std::string> m_lanes;
    std::string m_failure;
    std::vector<Colour> m_colours;
    std::vector<std::shared_ptr<const Snapshot>> m_snapshots;  ///< by lane
    HeadChoice m_choice;
    HeadChoice m_wished;        ///< as restored or chosen, before snapshots told what there is
    bool m_choiceMade = false;  ///< by a person
    CanvasPage m_page = CanvasPage::Maps;
    std::shared_ptr<const MapSet> m_maps;
    std::shared_ptr<const MapSet> m_projections;
    std::vector<std::shared_ptr<const MapSet>> m_own;  ///< by lane
    std::optional<KnownFidelity> m_fidelity;
    std::function<std::string(std::int32_t)> m_tokenText;
    LinkedView m_view;
    Colouring m_colouring;
    MapService m_service;  // last: its thread ends before what it tells of is destroyed
};

}  // namespace linscope::viz

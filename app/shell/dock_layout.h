#pragma once

#include <QMap>
#include <QObject>
#include <QString>
#include <QTimer>

class QDockWidget;
class QMainWindow;

namespace linscope::app {

/// Where the docks of the main window stand. While nobody has moved, resized, closed or undocked one, they follow the
/// size of the window: on a small screen some share a place, and on a larger one they stand apart again. What a person
/// arranged stays, whatever the size, until reset().
class DockLayout : public QObject {
    Q_OBJECT
public:
    /// `docks` by name: runs, steer, experiment, events, metrics, projection. They and the window live longer.
    DockLayout(QMainWindow& window, QMap<QString, QDockWidget*> docks);

    /// All docks to the places that they have at first in a window of this size.
    void reset();
    /// A person arranged them.
    bool isOwn() const;

    /// For the next start: where docks stand, and whether a person arranged them.
    void remember() const;
    /// Once the window has its size.
    void restore();

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    /// By what there is room for, beside and below one another.
    enum class Room { Narrow, Low, Whole };
    Room room() const;
    void follow();
    void place(Room room);

    QMainWindow& m_window;
    QMap<QString, QDockWidget*> m_docks;
    QTimer m_timer;  ///< while a window is dragged larger, docks do not jump
    Room m_placed = Room::Whole;
    bool m_own = false;
    bool m_placing = false;  ///< what moves now is not moved by a person
    bool m_onEdge = false;   ///< a separator is held
};

}  // namespace linscope::app

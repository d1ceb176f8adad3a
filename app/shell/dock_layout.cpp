#include "app/shell/dock_layout.h"

#include <QDockWidget>
#include <QLayout>
#include <QMainWindow>
#include <QMouseEvent>
#include <QScopedValueRollback>
#include <QSettings>
#include <algorithm>

namespace linscope::app {

namespace {
// Changed when docks are renamed, so that an older layout is not restored over them.
constexpr int kLayoutVersion = 1;
constexpr int kHeightForBoth = 860;  // of a window that has room for the charts of metrics and projection at once
constexpr int kWidthForBoth = 1200;  // of a window that has room for maps between the docks on both sides
constexpr int kSettleMilliseconds = 120;
}  // namespace

DockLayout::DockLayout(QMainWindow& window, QMap<QString, QDockWidget*> docks)
    : QObject(&window), m_window(window), m_docks(std::move(docks)) {
    const auto moved = [this] { m_own = m_own || !m_placing; };
    for (QDockWidget* dock : m_docks) {
        connect(dock, &QDockWidget::dockLocationChanged, this, moved);
        connect(dock, &QDockWidget::topLevelChanged, this, moved);
    }
    m_timer.setSingleShot(true);
    m_timer.setInterval(kSettleMilliseconds);
    connect(&m_timer, &QTimer::timeout, this, &DockLayout::follow);
    window.installEventFilter(this);
}

DockLayout::Room DockLayout::room() const {
    if (m_window.width() < kWidthForBoth) return Room::Narrow;
    return m_window.height() < kHeightForBoth ? Room::Low : Room::Whole;
}

bool DockLayout::isOwn() const {
    return m_own || std::any_of(m_docks.begin(), m_docks.end(),
                                [](const QDockWidget* dock) { return dock->isHidden() || dock->isFloating(); });
}

void DockLayout::reset() {
    m_own = false;
    place(room());
}

void DockLayout::follow() {
    if (room() != m_placed && !isOwn()) place(room());
}

void DockLayout::place(Room room) {
    const QScopedValueRollback placing(m_placing, true);
    m_placed = room;
    // What was in front of others stays in sight where it shares a place.
    const bool projection = room != Room::Whole && !m_docks["projection"]->visibleRegion().isEmpty() &&
                            m_docks["metrics"]->visibleRegion().isEmpty();
    for (QDockWidget* dock : m_docks) {
        dock->setFloating(false);
        dock->show();
    }
    for (const char* name : {"runs", "steer", "experiment", "events"})
        m_window.addDockWidget(Qt::LeftDockWidgetArea, m_docks[name]);
    for (const char* name : {"metrics", "projection"}) m_window.addDockWidget(Qt::RightDockWidgetArea, m_docks[name]);
    if (room == Room::Whole) {
        m_window.splitDockWidget(m_docks["runs"], m_docks["steer"], Qt::Vertical);
        m_window.splitDockWidget(m_docks["steer"], m_docks["experiment"], Qt::Vertical);
    } else {  // the editor needs the height
        m_window.splitDockWidget(m_docks["runs"], m_docks["experiment"], Qt::Vertical);
        m_window.tabifyDockWidget(m_docks["runs"], m_docks["steer"]);
        m_docks["runs"]->raise();
    }
    m_window.tabifyDockWidget(m_docks["experiment"], m_docks["events"]);
    m_docks["experiment"]->raise();
    switch (room) {
        case Room::Narrow:
            for (const char* name : {"metrics", "projection"})
                m_window.tabifyDockWidget(m_docks["experiment"], m_docks[name]);
            break;
        case Room::Low:
            m_window.tabifyDockWidget(m_docks["metrics"], m_docks["projection"]);
            break;
        case Room::Whole:
            m_window.splitDockWidget(m_docks["metrics"], m_docks["projection"], Qt::Vertical);
            break;
    }
    if (room != Room::Whole) m_docks[projection ? "projection" : "metrics"]->raise();
    m_window.setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
    m_window.setCorner(Qt::BottomRightCorner, Qt::RightDockWidgetArea);

    m_window.resizeDocks({m_docks["runs"], m_docks["metrics"]}, {330, 400}, Qt::Horizontal);
    // Six lanes of a run are in sight.
    if (room == Room::Whole)
        m_window.resizeDocks({m_docks["runs"], m_docks["steer"], m_docks["experiment"]},
                             {220, 90, m_window.height() - 500}, Qt::Vertical);
    else
        m_window.resizeDocks({m_docks["runs"], m_docks["experiment"]}, {220, m_window.height() - 400}, Qt::Vertical);
    m_window.resizeDocks({m_docks["metrics"], m_docks["projection"]}, {420, 460}, Qt::Vertical);
    m_window.layout()->activate();  // the least size of the window is another one now
}

void DockLayout::remember() const {
    QSettings settings;
    settings.setValue("window/state", m_window.saveState(kLayoutVersion));
    settings.setValue("window/arranged", isOwn());
    settings.setValue("window/room", static_cast<int>(m_placed));
}

void DockLayout::restore() {
    const QSettings settings;
    {
        const QScopedValueRollback placing(m_placing, true);
        if (!m_window.restoreState(settings.value("window/state").toByteArray(), kLayoutVersion)) return;
    }
    m_own = settings.value("window/arranged", true).toBool();
    m_placed = static_cast<Room>(settings.value("window/room", static_cast<int>(m_placed)).toInt());
    follow();
}

bool DockLayout::eventFilter(QObject* watched, QEvent* event) {
    switch (event->type()) {
        case QEvent::Resize:
            m_timer.start();
            break;
        case QEvent::MouseButtonPress:
            m_onEdge = m_window.isSeparator(static_cast<QMouseEvent*>(event)->pos());
            break;
        case QEvent::MouseMove:
            m_own = m_own || m_onEdge;
            break;
        case QEvent::MouseButtonRelease:
            m_onEdge = false;
            break;
        default:
            break;
    }
    return QObject::eventFilter(watched, event);
}

}  // namespace linscope::app

#pragma once

#include <QImage>
#include <QTimer>
#include <QWindow>

#include <chrono>
#include <cstdint>
#include <memory>

namespace linscope::viz {
class CanvasRenderer;
class CanvasScene;
class ImGuiHost;
class MapSource;
class Swapchain;
}  // namespace linscope::viz

namespace linscope::app {

class VulkanHost;

/// The window that the canvas is drawn into. It draws when something has changed and at most sixty times
/// a second; a frame that the device or the display has no room for is tried again shortly, never waited for.
class CanvasWindow : public QWindow {
    Q_OBJECT
public:
    /// `host` has a device and must live longer.
    explicit CanvasWindow(VulkanHost& host);
    ~CanvasWindow() override;

    viz::CanvasScene& scene();
    viz::ImGuiHost& imgui();
    /// What computes the maps.
    viz::MapSource& maps() { return *m_maps; }
    /// Draws on the ground that the application has now.
    void takeLook();
    /// Asks for `frames` frames: ImGui shows what an input did one or two frames after it.
    void requestFrame(int frames = 1);
    /// The frame drawn last; one is made when there was none.
    QImage grabImage();
    std::uint64_t framesDrawn() const { return m_framesDrawn; }
    /// With true, frameDrawn() is sent when the device has finished the frame: for measurements only, it waits.
    void setMeasuring(bool on) { m_measuring = on; }

Q_SIGNALS:
    /// Milliseconds from the oldest input that this frame answers, or from the frame's begin where there was
    /// none, to the frame's presentation.
    void frameDrawn(double milliseconds);
    /// Drawing has stopped for good; the text says why.
    void failed(const QString& problem);

protected:
    void exposeEvent(QExposeEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    bool event(QEvent* event) override;

private:
    using Clock = std::chrono::steady_clock;
    void schedule(int atLeastMilliseconds);
    void drawFrame();
    bool drawOnce();
    bool prepareSurface();
    void releaseSurface();
    QSize devicePixels() const;
    float scale() const;
    bool keyPressed(const QKeyEvent& event);

    VulkanHost& m_host;
    std::shared_ptr<viz::MapSource> m_maps;
    std::unique_ptr<viz::CanvasRenderer> m_renderer;
    std::unique_ptr<viz::Swapchain> m_swapchain;
    QTimer m_timer;
    int m_framesDue = 0;
    bool m_surfaceGone = false;  ///< between SurfaceAboutToBeDestroyed and the next expose
    bool m_resized = false;
    bool m_broken = false;
    bool m_measuring = false;
    int m_surfaceLosses = 0;
    Clock::time_point m_lastFrame{}, m_oldestInput{};
    bool m_inputWaits = false;
    std::uint64_t m_framesDrawn = 0;
};

}  // namespace linscope::app

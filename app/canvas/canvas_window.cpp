#include "app/canvas/canvas_window.h"

#include "app/canvas/qt_input.h"
#include "app/canvas/vulkan_host.h"
#include "app/shell/theme.h"
#include "core/base/error.h"
#include "viz/canvas/canvas_renderer.h"
#include "viz/gpu/swapchain.h"

// After viz: Qt's Vulkan header switches off the prototypes that viz needs.
#include <QExposeEvent>
#include <QKeyEvent>
#include <QVulkanInstance>

#include <algorithm>
#include <exception>
#include <utility>

namespace linscope::app {

namespace {

constexpr int kFrameMilliseconds = 16;  ///< 60 Hz
constexpr int kRetryMilliseconds = 2;
/// Hover, press, release and the control's answer each show one frame after the event.
constexpr int kFramesPerInput = 3;
constexpr int kSurfaceLossesAllowed = 8;

VkExtent2D extentOf(QSize size) {
    return {static_cast<std::uint32_t>(size.width()), static_cast<std::uint32_t>(size.height())};
}

}  // namespace

CanvasWindow::CanvasWindow(VulkanHost& host) : m_host(host) {
    setSurfaceType(QSurface::VulkanSurface);
    setVulkanInstance(&host.instance());
    const auto onMaps = [this] {
        QMetaObject::invokeMethod(
            this, [this] { requestFrame(2); }, Qt::QueuedConnection);
    };
    m_maps = std::make_shared<viz::MapSource>(*host.device());
    m_renderer = std::make_unique<viz::CanvasRenderer>(*host.device(), VK_FORMAT_B8G8R8A8_UNORM, onMaps,
                                                       viz::MapService::realWork(m_maps));
    takeLook();
    m_timer.setSingleShot(true);
    m_timer.setTimerType(Qt::PreciseTimer);
    connect(&m_timer, &QTimer::timeout, this, &CanvasWindow::drawFrame);
    // The other screen may have another scale: fonts are built anew by the next frame.
    connect(this, &QWindow::screenChanged, this, [this] { requestFrame(2); });
}

CanvasWindow::~CanvasWindow() {
    releaseSurface();
    m_renderer.reset();
}

void CanvasWindow::takeLook() {
    imgui().setTheme(look() == Look::Light ? viz::lightTheme() : viz::Theme());
    requestFrame(2);
}

viz::CanvasScene& CanvasWindow::scene() {
    return m_renderer->scene();
}

viz::ImGuiHost& CanvasWindow::imgui() {
    return m_renderer->host();
}

float CanvasWindow::scale() const {
    return static_cast<float>(devicePixelRatio());
}

QSize CanvasWindow::devicePixels() const {
    const qreal ratio = devicePixelRatio();
    return {std::max(0, qRound(width() * ratio)), std::max(0, qRound(height() * ratio))};
}

void CanvasWindow::requestFrame(int frames) {
    m_framesDue = std::max(m_framesDue, frames);
    schedule(0);
}

void CanvasWindow::schedule(int atLeastMilliseconds) {
    if (m_timer.isActive() || m_broken || !isExposed()) return;
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - m_lastFrame).count();
    const int rest = kFrameMilliseconds - static_cast<int>(std::min<long long>(since, kFrameMilliseconds));
    m_timer.start(std::max(rest, atLeastMilliseconds));
}

void CanvasWindow::exposeEvent(QExposeEvent*) {
    if (!isExposed()) {
        m_timer.stop();
        return;
    }
    m_surfaceGone = false;
    requestFrame(2);
}

void CanvasWindow::resizeEvent(QResizeEvent*) {
    m_resized = true;
    requestFrame(2);
}

bool CanvasWindow::keyPressed(const QKeyEvent& event) {
    const auto key = canvasKey(event.key(), event.modifiers());
    return key && !imgui().wantsText() && scene().key(*key);
}

bool CanvasWindow::event(QEvent* event) {
    if (event->type() == QEvent::PlatformSurface && static_cast<QPlatformSurfaceEvent*>(event)->surfaceEventType() ==
                                                        QPlatformSurfaceEvent::SurfaceAboutToBeDestroyed) {
        // From here on there is no window to present to, until the next expose event.
        m_surfaceGone = true;
        m_timer.stop();
        releaseSurface();
    }
    if (forwardToImGui(*event, m_renderer->host())) {
        if (!m_inputWaits) {
            m_inputWaits = true;
            m_oldestInput = Clock::now();
        }
        requestFrame(kFramesPerInput);
        if (event->type() == QEvent::KeyPress || event->type() == QEvent::KeyRelease) {
            // A key that means nothing here goes on to whoever else may know it.
            event->setAccepted(event->type() == QEvent::KeyPress && keyPressed(static_cast<const QKeyEvent&>(*event)));
            return event->isAccepted();
        }
    }
    return QWindow::event(event);
}

bool CanvasWindow::prepareSurface() {
    if (m_surfaceGone || !isExposed()) return false;
    if (!m_swapchain) {
        const VkSurfaceKHR surface = QVulkanInstance::surfaceForWindow(this);
        if (surface == VK_NULL_HANDLE) return false;
        const VkFormat format = viz::Swapchain::chooseFormat(*m_host.device(), surface);
        require(format == m_renderer->format(), "canvas", "the window must take the canvas's format {}, but takes {}",
                static_cast<int>(m_renderer->format()), static_cast<int>(format));
        m_swapchain = std::make_unique<viz::Swapchain>(*m_host.device(), surface, format, m_renderer->windowPass());
        m_resized = true;
    }
    if (m_resized) {
        m_swapchain->resize(extentOf(devicePixels()));
        m_resized = false;
    }
    return true;
}

void CanvasWindow::releaseSurface() {
    m_swapchain.reset();
}

void CanvasWindow::drawFrame() {
    if (m_framesDue <= 0 || m_broken) return;
    try {
        if (!drawOnce()) return schedule(kRetryMilliseconds);
        m_surfaceLosses = 0;
    } catch (const std::exception& error) {
        // A surface may be lost once when the display server takes the window away; a device that keeps
        // failing must not be asked for ever.
        releaseSurface();
        if (++m_surfaceLosses > kSurfaceLossesAllowed) {
            m_broken = true;
            Q_EMIT failed(QString::fromUtf8(error.what()));
            return;
        }
        m_resized = true;
        return schedule(kFrameMilliseconds * m_surfaceLosses);
    }
    if (m_framesDue > 0) schedule(0);
}

bool CanvasWindow::drawOnce() {
    if (!prepareSurface()) {
        // Nothing to draw into now; expose and resize events ask again.
        m_framesDue = 0;
        return true;
    }
    const auto begin = Clock::now();
    viz::WindowFrame frame;
    switch (m_swapchain->begin(frame)) {
        case viz::FrameStatus::Busy:
            return false;
        case viz::FrameStatus::Stale:
            m_resized = true;
            return false;
        case viz::FrameStatus::Empty:
            m_framesDue = 0;
            return true;
        case viz::FrameStatus::Ready:
            break;
    }
    const bool answersInput = std::exchange(m_inputWaits, false);
    m_renderer->build(frame.extent, scale());
    m_renderer->record(frame.commands, frame.framebuffer, frame.extent);
    if (!m_swapchain->end()) {
        m_resized = true;
        m_framesDue = std::max(m_framesDue, 2);
    }
    m_lastFrame = begin;
    --m_framesDue;
    if (m_renderer->host().pending()) m_framesDue = std::max(m_framesDue, 1);
    ++m_framesDrawn;
    if (m_measuring) m_swapchain->waitForFrame();
    Q_EMIT frameDrawn(
        std::chrono::duration<double, std::milli>(Clock::now() - (answersInput ? m_oldestInput : begin)).count());
    return true;
}

QImage CanvasWindow::grabImage() {
    if (m_framesDrawn == 0 || !m_swapchain) {
        const VkExtent2D pixels = extentOf(devicePixels());
        if (pixels.width == 0 || pixels.height == 0) return {};
        for (int frame = 0; frame < 2; ++frame) m_renderer->build(pixels, scale());
    }
    const viz::RgbaImage picture = m_renderer->grab();
    if (picture.width == 0) return {};
    QImage image(picture.pixels.data(), picture.width, picture.height, picture.width * 4, QImage::Format_RGBA8888);
    image = image.convertToFormat(QImage::Format_RGB32);
    image.setDevicePixelRatio(devicePixelRatio());
    return image;
}

}  // namespace linscope::app

#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "viz/gpu/handle.h"

namespace linscope::viz {

class Device;

using SwapchainHandle = Handle<VkSwapchainKHR, vkDestroySwapchainKHR>;

/// What a window can do now.
enum class FrameStatus {
    Ready,  ///< record, then call end()
    Busy,   ///< the device still draws earlier frames, or no image is free: try again in a few milliseconds
    Stale,  ///< the surface has another size by now: resize() and try again
    Empty,  ///< the surface has no area (minimised): there is nothing to draw
};

/// One image to draw into.
struct WindowFrame {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkFramebuffer framebuffer = VK_NULL_HANDLE;
    VkExtent2D extent{};
};

/// The images of one surface and two frames in flight. No call waits for the device or for the
/// display but resize() and the destructor. The surface belongs to the caller and must live longer.
class Swapchain {
public:
    static constexpr std::uint32_t kFramesInFlight = 2;

    /// A format of eight bits per channel without sRGB conversion. Throws Error when the device
    /// cannot present to this surface.
    static VkFormat chooseFormat(const Device& device, VkSurfaceKHR surface);

    /// `renderPass` has one attachment of `format` that ends in VK_IMAGE_LAYOUT_PRESENT_SRC_KHR.
    Swapchain(Device& device, VkSurfaceKHR surface, VkFormat format, VkRenderPass renderPass);
    ~Swapchain();
    Swapchain(const Swapchain&) = delete;
    Swapchain& operator=(const Swapchain&) = delete;

    /// Makes the images anew. The surface's own extent counts where it has one; `wanted` only where the
    /// surface takes any (Wayland).
    void resize(VkExtent2D wanted);
    VkExtent2D extent() const { return m_extent; }

    /// Begins recording into the next image.
    FrameStatus begin(WindowFrame& frame);
    /// Submits and presents. False: the surface has changed, resize() before the next frame; the frame
    /// just drawn has still been shown where the surface allowed it.
    bool end();
    /// Waits until the device has finished the frame that end() was called for last: for measurements.
    void waitForFrame();
    /// Waits until no frame is in flight.
    void drain() noexcept;

private:
    struct Frame {
        CommandPoolHandle pool;
        VkCommandBuffer commands = VK_NULL_HANDLE;
        FenceHandle finished;
        SemaphoreHandle acquired;
    };
    struct Target {
        ImageViewHandle view;
        FramebufferHandle framebuffer;
        SemaphoreHandle drawn;  ///< per image: presentation may hold it longer than a frame is in flight
    };
    void choosePresentMode();
    /// Of m_extent, in the place of the one before.
    void makeSwapchain(const VkSurfaceCapabilitiesKHR& surface);
    SemaphoreHandle makeSemaphore() const;
    Target makeTarget(VkImage image) const;

    Device& m_device;
    VkSurfaceKHR m_surface;
    VkFormat m_format;
    VkRenderPass m_renderPass;
    VkPresentModeKHR m_presentMode = VK_PRESENT_MODE_FIFO_KHR;
    VkExtent2D m_extent{};
    SwapchainHandle m_swapchain;
    std::vector<Target> m_targets;
    std::array<Frame, kFramesInFlight> m_frames;
    std::uint32_t m_current = 0, m_image = 0;
    bool m_stale = true;
};

}  // namespace linscope::viz

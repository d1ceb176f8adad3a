#include "viz/gpu/swapchain.h"

#include <algorithm>

#include "core/base/error.h"
#include "viz/gpu/check.h"
#include "viz/gpu/device.h"

namespace linscope::viz {

namespace {
constexpr const char* kWhere = "swapchain";
}

VkFormat Swapchain::chooseFormat(const Device& device, VkSurfaceKHR surface) {
    require(device.hasDeviceExtension(VK_KHR_SWAPCHAIN_EXTENSION_NAME), kWhere,
            "the Vulkan device must be able to present to a window, but {} has no VK_KHR_swapchain", device.name());
    VkBool32 supported = VK_FALSE;
    check(vkGetPhysicalDeviceSurfaceSupportKHR(device.physical(), device.queueFamily(), surface, &supported), kWhere,
          "tell whether the window can be presented to");
    require(supported == VK_TRUE, kWhere, "{} must be able to present to this window, but it cannot", device.name());
    std::uint32_t count = 0;
    check(vkGetPhysicalDeviceSurfaceFormatsKHR(device.physical(), surface, &count, nullptr), kWhere, "list formats");
    std::vector<VkSurfaceFormatKHR> formats(count);
    check(vkGetPhysicalDeviceSurfaceFormatsKHR(device.physical(), surface, &count, formats.data()), kWhere,
          "list formats");
    for (const VkFormat wanted : {VK_FORMAT_B8G8R8A8_UNORM, VK_FORMAT_R8G8B8A8_UNORM})
        for (const VkSurfaceFormatKHR& format : formats)
            if (format.format == wanted) return wanted;
    fail(kWhere, "the window must take images of eight bits per channel, but it offers {} other formats", count);
}

Swapchain::Swapchain(Device& device, VkSurfaceKHR surface, VkFormat format, VkRenderPass renderPass)
    : m_device(device), m_surface(surface), m_format(format), m_renderPass(renderPass) {
    choosePresentMode();
    for (Frame& frame : m_frames) {
        const VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                           .pNext = nullptr,
                                           .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
                                           .queueFamilyIndex = device.queueFamily()};
        VkCommandPool made = VK_NULL_HANDLE;
        check(vkCreateCommandPool(device.handle(), &pool, nullptr, &made), kWhere, "make a command pool");
        frame.pool = {device.handle(), made};
        const VkCommandBufferAllocateInfo buffer{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                 .pNext = nullptr,
                                                 .commandPool = made,
                                                 .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                 .commandBufferCount = 1};
        check(vkAllocateCommandBuffers(device.handle(), &buffer, &frame.commands), kWhere, "make a command buffer");
        const VkFenceCreateInfo fence{
            .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, .pNext = nullptr, .flags = VK_FENCE_CREATE_SIGNALED_BIT};
        VkFence finished = VK_NULL_HANDLE;
        check(vkCreateFence(device.handle(), &fence, nullptr, &finished), kWhere, "make a fence");
        frame.finished = {device.handle(), finished};
    }
}

Swapchain::~Swapchain() {
    drain();
}

void Swapchain::drain() noexcept {
    for (const Frame& frame : m_frames)
        if (frame.finished) vkWaitForFences(m_device.handle(), 1, frame.finished.address(), VK_TRUE, UINT64_MAX);
    // Presentation has no fence of its own: only an idle queue says that its semaphores are free.
    try {
        m_device.waitIdle();
    } catch (...) {
        return;
    }
}

void Swapchain::waitForFrame() {
    const Frame& last = m_frames[(m_current + kFramesInFlight - 1) % kFramesInFlight];
    check(vkWaitForFences(m_device.handle(), 1, last.finished.address(), VK_TRUE, UINT64_MAX), kWhere,
          "finish a frame");
}

void Swapchain::choosePresentMode() {
    std::uint32_t count = 0;
    vkGetPhysicalDeviceSurfacePresentModesKHR(m_device.physical(), m_surface, &count, nullptr);
    std::vector<VkPresentModeKHR> modes(count);
    vkGetPhysicalDeviceSurfacePresentModesKHR(m_device.physical(), m_surface, &count, modes.data());
    // Mailbox shows the newest frame and never blocks; FIFO is always there.
    if (std::find(modes.begin(), modes.end(), VK_PRESENT_MODE_MAILBOX_KHR) != modes.end())
        m_presentMode = VK_PRESENT_MODE_MAILBOX_KHR;
}

void Swapchain::resize(VkExtent2D wanted) {
    drain();
    VkSurfaceCapabilitiesKHR surface{};
    check(vkGetPhysicalDeviceSurfaceCapabilitiesKHR(m_device.physical(), m_surface, &surface), kWhere,
          "describe the window");
    VkExtent2D extent = surface.currentExtent;
    if (extent.width == UINT32_MAX)
        extent = {std::clamp(wanted.width, surface.minImageExtent.width, surface.maxImageExtent.width),
                  std::clamp(wanted.height, surface.minImageExtent.height, surface.maxImageExtent.height)};
    m_extent = extent;
    m_stale = false;
    m_targets.clear();
    if (extent.width == 0 || extent.height == 0) {
        m_swapchain.reset();
        return;
    }
    makeSwapchain(surface);
    // A semaphore of an acquisition that was never submitted stays signalled: start with fresh ones.
    for (Frame& frame : m_frames) frame.acquired = makeSemaphore();
    std::uint32_t count = 0;
    check(vkGetSwapchainImagesKHR(m_device.handle(), m_swapchain.get(), &count, nullptr), kWhere,
          "list the window's images");
    std::vector<VkImage> images(count);
    check(vkGetSwapchainImagesKHR(m_device.handle(), m_swapchain.get(), &count, images.data()), kWhere,
          "list the window's images");
    for (VkImage image : images) m_targets.push_back(makeTarget(image));
}

void Swapchain::makeSwapchain(const VkSurfaceCapabilitiesKHR& surface) {
    std::uint32_t images = surface.minImageCount + 1;
    if (surface.maxImageCount > 0) images = std::min(images, surface.maxImageCount);
    const bool opaque = (surface.supportedCompositeAlpha & VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR) != 0;
    const VkSwapchainCreateInfoKHR info{
        .sType = VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR,
        .pNext = nullptr,
        .flags = 0,
        .surface = m_surface,
        .minImageCount = images,
        .imageFormat = m_format,
        .imageColorSpace = VK_COLOR_SPACE_SRGB_NONLINEAR_KHR,
        .imageExtent = m_extent,
        .imageArrayLayers = 1,
        .imageUsage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT,
        .imageSharingMode = VK_SHARING_MODE_EXCLUSIVE,
        .queueFamilyIndexCount = 0,
        .pQueueFamilyIndices = nullptr,
        .preTransform = surface.currentTransform,
        .compositeAlpha = opaque ? VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR : VK_COMPOSITE_ALPHA_INHERIT_BIT_KHR,
        .presentMode = m_presentMode,
        .clipped = VK_TRUE,
        .oldSwapchain = m_swapchain.get()};
    VkSwapchainKHR made = VK_NULL_HANDLE;
    const VkResult result = vkCreateSwapchainKHR(m_device.handle(), &info, nullptr, &made);
    m_swapchain.reset();
    check(result, kWhere, "make a swapchain");
    m_swapchain = {m_device.handle(), made};
}

SemaphoreHandle Swapchain::makeSemaphore() const {
    const VkSemaphoreCreateInfo info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = nullptr, .flags = 0};
    VkSemaphore made = VK_NULL_HANDLE;
    check(vkCreateSemaphore(m_device.handle(), &info, nullptr, &made), kWhere, "make a semaphore");
    return {m_device.handle(), made};
}

Swapchain::Target Swapchain::makeTarget(VkImage image) const {
    Target target;
    const VkImageViewCreateInfo view{.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
                                     .pNext = nullptr,
                                     .flags = 0,
                                     .image = image,
                                     .viewType = VK_IMAGE_VIEW_TYPE_2D,
                                     .format = m_format,
                                     .components = {},
                                     .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
    VkImageView madeView = VK_NULL_HANDLE;
    check(vkCreateImageView(m_device.handle(), &view, nullptr, &madeView), kWhere, "make an image view");
    target.view = {m_device.handle(), madeView};
    const VkFramebufferCreateInfo buffer{.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
                                         .pNext = nullptr,
                                         .flags = 0,
                                         .renderPass = m_renderPass,
                                         .attachmentCount = 1,
                                         .pAttachments = &madeView,
                                         .width = m_extent.width,
                                         .height = m_extent.height,
                                         .layers = 1};
    VkFramebuffer madeBuffer = VK_NULL_HANDLE;
    check(vkCreateFramebuffer(m_device.handle(), &buffer, nullptr, &madeBuffer), kWhere, "make a framebuffer");
    target.framebuffer = {m_device.handle(), madeBuffer};
    target.drawn = makeSemaphore();
    return target;
}

FrameStatus Swapchain::begin(WindowFrame& out) {
    if (m_stale) return FrameStatus::Stale;
    if (!m_swapchain) return FrameStatus::Empty;
    Frame& frame = m_frames[m_current];
    const VkResult finished = vkGetFenceStatus(m_device.handle(), frame.finished.get());
    if (finished == VK_NOT_READY) return FrameStatus::Busy;
    check(finished, kWhere, "finish a frame");
    const VkResult acquired =
        vkAcquireNextImageKHR(m_device.handle(), m_swapchain.get(), 0, frame.acquired.get(), VK_NULL_HANDLE, &m_image);
    if (acquired == VK_NOT_READY || acquired == VK_TIMEOUT) return FrameStatus::Busy;
    if (acquired == VK_ERROR_OUT_OF_DATE_KHR) {
        m_stale = true;
        return FrameStatus::Stale;
    }
    // A suboptimal image is drawn and shown first, then replaced: dropping it would flash black.
    if (acquired == VK_SUBOPTIMAL_KHR)
        m_stale = true;
    else
        check(acquired, kWhere, "hand out an image of the window");

    check(vkResetFences(m_device.handle(), 1, frame.finished.address()), kWhere, "reset a fence");
    check(vkResetCommandPool(m_device.handle(), frame.pool.get(), 0), kWhere, "reset a command pool");
    const VkCommandBufferBeginInfo begin{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                         .pNext = nullptr,
                                         .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
                                         .pInheritanceInfo = nullptr};
    check(vkBeginCommandBuffer(frame.commands, &begin), kWhere, "begin a command buffer");
    out = {.commands = frame.commands, .framebuffer = m_targets[m_image].framebuffer.get(), .extent = m_extent};
    return FrameStatus::Ready;
}

bool Swapchain::end() {
    Frame& frame = m_frames[m_current];
    Target& target = m_targets[m_image];
    check(vkEndCommandBuffer(frame.commands), kWhere, "end a command buffer");
    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
    const VkSubmitInfo submit{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                              .pNext = nullptr,
                              .waitSemaphoreCount = 1,
                              .pWaitSemaphores = frame.acquired.address(),
                              .pWaitDstStageMask = &stage,
                              .commandBufferCount = 1,
                              .pCommandBuffers = &frame.commands,
                              .signalSemaphoreCount = 1,
                              .pSignalSemaphores = target.drawn.address()};
    m_device.submit(submit, frame.finished.get());
    m_current = (m_current + 1) % kFramesInFlight;
    const VkPresentInfoKHR info{.sType = VK_STRUCTURE_TYPE_PRESENT_INFO_KHR,
                                .pNext = nullptr,
                                .waitSemaphoreCount = 1,
                                .pWaitSemaphores = target.drawn.address(),
                                .swapchainCount = 1,
                                .pSwapchains = m_swapchain.address(),
                                .pImageIndices = &m_image,
                                .pResults = nullptr};
    const VkResult result = m_device.present(info);
    if (result == VK_ERROR_OUT_OF_DATE_KHR || result == VK_SUBOPTIMAL_KHR)
        m_stale = true;
    else
        check(result, kWhere, "present a frame");
    return !m_stale;
}

}  // namespace linscope::viz

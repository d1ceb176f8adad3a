#include "viz/imgui/imgui_vulkan.h"

#include <backends/imgui_impl_vulkan.h>
#include <imgui.h>

#include <array>

#include "viz/gpu/check.h"
#include "viz/gpu/commands.h"
#include "viz/gpu/device.h"
#include "viz/imgui/imgui_host.h"

namespace linscope::viz {

namespace {

constexpr const char* kWhere = "imgui";

void checkResult(VkResult result) {
    check(result, kWhere, "draw the tools of the canvas");
}

}  // namespace

ImGuiVulkan::ImGuiVulkan(Device& device, ImGuiHost& host, VkRenderPass renderPass, std::uint32_t buffers)
    : m_device(device), m_host(host), m_renderPass(renderPass), m_buffers(buffers) {
    const std::array<VkDescriptorPoolSize, 1> sizes{{{VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 8}}};
    const VkDescriptorPoolCreateInfo info{.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                          .pNext = nullptr,
                                          .flags = VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT,
                                          .maxSets = 8,
                                          .poolSizeCount = static_cast<std::uint32_t>(sizes.size()),
                                          .pPoolSizes = sizes.data()};
    VkDescriptorPool pool = VK_NULL_HANDLE;
    check(vkCreateDescriptorPool(device.handle(), &info, nullptr, &pool), kWhere, "make a descriptor pool");
    m_descriptors = {device.handle(), pool};
}

ImGuiVulkan::~ImGuiVulkan() {
    shutdown();
}

void ImGuiVulkan::initialise() {
    m_host.makeCurrent();
    ImGui_ImplVulkan_InitInfo info{};
    info.Instance = m_device.instance();
    info.PhysicalDevice = m_device.physical();
    info.Device = m_device.handle();
    info.QueueFamily = m_device.queueFamily();
    info.Queue = m_device.queue();
    info.DescriptorPool = m_descriptors.get();
    info.MinImageCount = 2;
    info.ImageCount = m_buffers;
    info.MSAASamples = VK_SAMPLE_COUNT_1_BIT;
    info.CheckVkResultFn = checkResult;
    ImGui_ImplVulkan_Init(&info, m_renderPass);
    m_ready = true;
}

void ImGuiVulkan::shutdown() noexcept {
    if (!m_ready) return;
    m_ready = false;
    try {
        m_device.waitIdle();
    } catch (...) {
        // A lost device still has to have its objects destroyed.
    }
    m_host.makeCurrent();
    ImGui_ImplVulkan_Shutdown();
}

void ImGuiVulkan::uploadFonts() {
    // The backend of 1.86 leaks the font image when it is made twice, so all of it is made anew.
    shutdown();
    initialise();
    runOnce(m_device, [](VkCommandBuffer commands) { ImGui_ImplVulkan_CreateFontsTexture(commands); });
    ImGui_ImplVulkan_DestroyFontUploadObjects();
}

void ImGuiVulkan::beginFrame() {
    m_host.makeCurrent();
    ImGui_ImplVulkan_NewFrame();
}

void ImGuiVulkan::record(ImDrawData* data, VkCommandBuffer commands) {
    m_host.makeCurrent();
    ImGui_ImplVulkan_RenderDrawData(data, commands);
}

}  // namespace linscope::viz

#include "viz/gpu/device.h"

#include <gmock/gmock.h>

#include <cstring>

#include "tests/viz/vulkan_fixture.h"
#include "viz/gpu/buffer.h"
#include "viz/gpu/check.h"
#include "viz/gpu/commands.h"
#include "viz/gpu/image.h"

namespace linscope::viz {
namespace {

using ::testing::HasSubstr;

std::string errorOf(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

using DeviceTest = VulkanTest;

TEST_F(DeviceTest, CopiesThroughDeviceMemory) {
    Buffer source(device(), 1024, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, MemoryKind::Upload);
    Buffer middle(device(), 1024, VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
                  MemoryKind::Device);
    Buffer target(device(), 1024, VK_BUFFER_USAGE_TRANSFER_DST_BIT, MemoryKind::Readback);
    EXPECT_EQ(middle.mapped(), nullptr);
    for (int i = 0; i < 1024; ++i) static_cast<unsigned char*>(source.mapped())[i] = static_cast<unsigned char>(i * 7);
    const VkBufferCopy all{0, 0, 1024};
    runOnce(device(),
            [&](VkCommandBuffer commands) { vkCmdCopyBuffer(commands, source.get(), middle.get(), 1, &all); });
    runOnce(device(),
            [&](VkCommandBuffer commands) { vkCmdCopyBuffer(commands, middle.get(), target.get(), 1, &all); });
    EXPECT_EQ(std::memcmp(source.mapped(), target.mapped(), 1024), 0);
    Buffer moved = std::move(target);
    EXPECT_FALSE(bool(target));
    EXPECT_TRUE(bool(moved));
}

TEST_F(DeviceTest, TheValidationLayerIsHeard) {
    VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
    info.size = 0;  // forbidden
    info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
    VkBuffer buffer = VK_NULL_HANDLE;
    if (vkCreateBuffer(device().handle(), &info, nullptr, &buffer) == VK_SUCCESS)
        vkDestroyBuffer(device().handle(), buffer, nullptr);
    ASSERT_FALSE(messages().empty());
    EXPECT_THAT(messages().front(), HasSubstr("VkBufferCreateInfo"));
    messages().clear();
}

TEST_F(DeviceTest, AnImageThatIsTooLargeIsRefused) {
    const std::string text = errorOf([&] {
        Image(device(), {1u << 20, 16}, VK_FORMAT_R8G8B8A8_UNORM, VK_IMAGE_USAGE_TRANSFER_SRC_BIT);
    });
    EXPECT_THAT(text, HasSubstr("1048576 × 16"));
}

TEST_F(DeviceTest, IsChosenByName) {
    DeviceOptions options;
    options.deviceName = device().name().substr(0, 5);
    EXPECT_EQ(Device(options).name(), device().name());
    options.deviceName = "Voodoo 2";
    EXPECT_THAT(errorOf([&] { Device{options}; }), HasSubstr("'Voodoo 2' is required, but there are: "));
}

TEST_F(DeviceTest, AMissingExtensionIsNamed) {
    DeviceOptions options;
    options.surfaceExtensions = {"VK_KHR_no_such_surface"};
    EXPECT_THAT(errorOf([&] { Device{options}; }), HasSubstr("VK_KHR_no_such_surface"));
}

TEST(DeviceWithoutDriver, SaysWhatToInstall) {
    ASSERT_EQ(setenv("VK_DRIVER_FILES", "/nonexistent/no_driver.json", 1), 0);
    ASSERT_EQ(setenv("VK_ICD_FILENAMES", "/nonexistent/no_driver.json", 1), 0);
    const std::string text = errorOf([] { Device{}; });
    unsetenv("VK_DRIVER_FILES");
    unsetenv("VK_ICD_FILENAMES");
    EXPECT_THAT(text, HasSubstr("[vulkan]"));
    EXPECT_THAT(text, HasSubstr("install mesa-vulkan-drivers"));
}

TEST(Check, ThrowsWithTheResultsName) {
    EXPECT_EQ(errorOf([] { check(VK_SUCCESS, "here", "work"); }), "no error");
    EXPECT_EQ(errorOf([] { check(VK_ERROR_DEVICE_LOST, "here", "work"); }),
              "[here] Vulkan must work, but answered VK_ERROR_DEVICE_LOST (-4)");
}

}  // namespace
}  // namespace linscope::viz

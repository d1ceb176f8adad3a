#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "viz/gpu/device.h"

namespace linscope::viz {

/// Tests on a device with validation. Any warning or error of the validation layer fails the test that caused
/// it; where there is no Vulkan device at all the tests are skipped and say why.
class VulkanTest : public ::testing::Test {
protected:
    void SetUp() override {
        DeviceOptions options;
        options.validation = true;
        options.onMessage = [this](const DeviceMessage& message) {
            const std::lock_guard lock(m_lock);
            m_messages.push_back(message.text);
        };
        try {
            m_device = std::make_unique<Device>(options);
        } catch (const Error& error) {
            const std::string text = error.what();
            if (text.find("but there is none") == std::string::npos &&
                text.find("none is installed") == std::string::npos)
                throw;
            GTEST_SKIP() << text;
        }
    }
    void TearDown() override {
        m_device.reset();
        for (const std::string& message : m_messages) ADD_FAILURE() << message;
    }
    Device& device() { return *m_device; }
    std::vector<std::string>& messages() { return m_messages; }

private:
    std::mutex m_lock;
    std::vector<std::string> m_messages;
    std::unique_ptr<Device> m_device;
};

}  // namespace linscope::viz

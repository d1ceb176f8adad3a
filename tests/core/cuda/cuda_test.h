#pragma once

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/cuda/device.h"

namespace linscope::test {

/// What the device is needed for is skipped, with the reason, where there is none.
class CudaTest : public testing::Test {
protected:
    void SetUp() override {
        try {
            requireCuda();
        } catch (const Error& error) {
            GTEST_SKIP() << error.what();
        }
    }
};

}  // namespace linscope::test

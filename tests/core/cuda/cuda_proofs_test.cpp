#include "core/attention/proofs.h"
#include "core/cuda/context.h"
#include "tests/core/cuda/cuda_test.h"

namespace linscope {
namespace {

class CudaProofs : public test::CudaTest {};

// The whole list of every mechanism is `linscope check --device cuda`.
TEST_F(CudaProofs, HoldOnTheDevice) {
    DeviceContext device;
    for (const MechanismInfo& info : mechanisms()) {
        if (info.cudaForm == nullptr) continue;
        for (const ProofResult& result : runProofs(info, {}, &device))
            EXPECT_TRUE(result.passed) << result.mechanism << ": " << result.proof << ": " << result.worst << " at "
                                       << result.worstCase;
    }
}

// Of every build: what cannot run there says so in a sentence that names the mechanism and the device.
TEST(CudaForms, AMechanismWithoutOneIsRefused) {
    for (const MechanismInfo& info : mechanisms()) {
        if (info.cudaForm != nullptr) continue;
        try {
            requireForm(info, {}, {}, Device::Cuda);
            FAIL() << info.name;
        } catch (const Error& error) {
            const std::string text = error.what();
            EXPECT_NE(text.find(info.name), std::string::npos) << text;
            EXPECT_NE(text.find("--device cuda"), std::string::npos) << text;
        }
        EXPECT_NO_THROW(requireForm(info, {}, {}, Device::Cpu));
    }
    EXPECT_THROW(requireForm(findMechanism("full"), {}, {.headWidth = 4096}, Device::Cuda), Error);
}

}  // namespace
}  // namespace linscope

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
TEST(CudaForms, SizesWithoutOneAreRefused) {
    for (const MechanismInfo& info : mechanisms()) {
        const AttentionSizes wide{.headWidth = 4096};
        try {
            requireForm(info, {}, wide, Device::Cuda);
            ADD_FAILURE() << info.name;
        } catch (const Error& error) {
            const std::string text = error.what();
            EXPECT_NE(text.find(info.name), std::string::npos) << text;
            EXPECT_NE(text.find("--device cuda"), std::string::npos) << text;
        }
        EXPECT_NO_THROW(requireForm(info, {}, wide, Device::Cpu));
        if (info.cudaForm != nullptr) {
            EXPECT_NO_THROW(requireForm(info, {}, {.headWidth = 128}, Device::Cuda));
        }
    }
}

TEST(CudaForms, AHybridHasOneWhereItsPartsDo) {
    const MechanismInfo& hybrid = findMechanism("hybrid");
    const AttentionSizes sizes{.layers = 2, .heads = 4, .headWidth = 32, .length = 64};
    for (const char* plan :
         {"full*1 + nystrom(landmarks=8)", "linear(features=taylor) | linformer(k=8, kind=mean)*2 + full"})
        EXPECT_NO_THROW(requireForm(hybrid, {{"plan", std::string(plan)}}, sizes, Device::Cuda)) << plan;
}

}  // namespace
}  // namespace linscope

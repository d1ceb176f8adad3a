#include "core/attention/whole_map.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/autograd/tape.h"
#include "core/base/random.h"
#include "core/cuda/context.h"
#include "core/cuda/rounded.h"
#include "tests/core/cuda/cuda_test.h"

namespace linscope {
namespace {

class WholeMapCuda : public test::CudaTest {
protected:
    /// The greatest difference of device and processor, in single precision there, of outputs that are near 1.
    static float difference(Precision precision, std::int64_t length) {
        DeviceContext context;
        context.setPrecision(precision);
        Arena here, there(&context);
        Tape tapeHere(here, false), tapeThere(there, false);
        const Shape shape{2, length, 3, 16};
        Random random(3, "whole map");
        Variable inputs[3], copies[3];
        for (int i = 0; i < 3; ++i) {
            const Tensor x = here.tensor(shape), y = there.tensor(shape);
            for (float& value : x.span<float>()) value = static_cast<float>(random.normal());
            context.toDevice(y.raw(), x.raw(), static_cast<std::size_t>(x.bytes()));
            context.wait();
            inputs[i] = tapeHere.constant(x);
            copies[i] = tapeThere.constant(precision == Precision::Bf16 ? cuda::rounded(there, y) : y);
        }
        const Tensor wanted = wholeMapAttention(inputs[0], inputs[1], inputs[2]).value();
        const Tensor found = wholeMapAttention(copies[0], copies[1], copies[2]).value();
        const Tensor back = here.tensor(shape, found.type());
        context.toHost(back.raw(), found.raw(), static_cast<std::size_t>(back.bytes()));
        context.wait();
        float worst = 0;
        for (std::int64_t i = 0; i < back.elements(); ++i) {
            const float value = back.type() == DType::F32
                                    ? back.as<float>()[i]
                                    : std::bit_cast<float>(static_cast<std::uint32_t>(back.as<Bf16>()[i].bits) << 16);
            worst = std::max(worst, std::abs(value - wanted.as<float>()[i]));
        }
        return worst;
    }
};

TEST_F(WholeMapCuda, AgreesWithTheProcessor) {
    for (const std::int64_t length : {1, 64, 65, 700, 2050})
        EXPECT_LT(difference(Precision::Single, length), 1e-5) << length;
}
TEST_F(WholeMapCuda, AgreesInBfloat16) {
    for (const std::int64_t length : {1, 64, 65, 700, 2050})
        EXPECT_LT(difference(Precision::Bf16, length), 4e-2) << length;
}

}  // namespace
}  // namespace linscope

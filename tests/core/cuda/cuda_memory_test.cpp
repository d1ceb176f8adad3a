#include <cmath>
#include <numeric>
#include <vector>

#include "core/cuda/blas.h"
#include "core/cuda/context.h"
#include "core/tensor/arena.h"
#include "tests/core/cuda/cuda_test.h"

namespace linscope {
namespace {

// Of every build, with a device or without.
TEST(Cuda, WithoutADeviceItSaysSo) {
    if (cudaAvailable()) GTEST_SKIP() << "there is a device: " << cudaDescription();
    try {
        DeviceContext context;
        FAIL() << "a context without a device";
    } catch (const Error& error) {
        EXPECT_TRUE(std::string(error.what()).starts_with("[cuda] ")) << error.what();
        EXPECT_NE(std::string(error.what()).find("use --device cpu"), std::string::npos) << error.what();
    }
}

class CudaMemory : public test::CudaTest {};

TEST_F(CudaMemory, TensorsOfTheDeviceAreNotReadHere) {
    DeviceContext context;
    Arena arena(&context);
    const Tensor tensor = arena.tensor({4});
    EXPECT_TRUE(tensor.onDevice());
    EXPECT_THROW(tensor.as<float>(), Error);
    EXPECT_NO_THROW(tensor.onDeviceAs<float>());
    EXPECT_TRUE(tensor.reshaped({2, 2}).onDevice());
    Arena here;
    EXPECT_THROW(here.tensor({4}).onDeviceAs<float>(), Error);
}

TEST_F(CudaMemory, BlocksBecomeOneAndFreshMemoryIsNaN) {
    DeviceContext context;
    Arena arena(&context, true);
    for (int i = 0; i < 3; ++i) arena.tensor({1 << 24});
    EXPECT_EQ(arena.heapAllocations(), 3);
    arena.reset();
    const auto after = arena.heapAllocations();
    Tensor last;
    for (int i = 0; i < 3; ++i) last = arena.tensor({1 << 24});
    EXPECT_EQ(arena.heapAllocations(), after);
    std::vector<float> values(1 << 24);
    context.toHost(values.data(), last.raw(), values.size() * sizeof(float));
    context.wait();
    for (const float x : values) ASSERT_TRUE(std::isnan(x));
}

TEST_F(CudaMemory, TooMuchIsToldInMegabytes) {
    DeviceContext context;
    try {
        context.allocate(std::size_t{1} << 46);
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("70368744 MB"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("free"), std::string::npos) << error.what();
    }
    context.release(context.allocate(1 << 20));  // and the device still works
}

TEST_F(CudaMemory, AGraphRepeatsWhatItRecorded) {
    DeviceContext context;
    Arena arena(&context);
    const Tensor from = arena.zeros({8}), to = arena.zeros({8});
    const auto graph = context.capture([&] { context.copy(to.raw(), from.raw(), 32); });
    std::vector<float> values(8), back(8, -1.0f);
    std::iota(values.begin(), values.end(), 1.0f);
    context.toDevice(from.raw(), values.data(), 32);
    context.replay(*graph);
    context.toHost(back.data(), to.raw(), 32);
    context.wait();
    EXPECT_EQ(back, values);
}

TEST_F(CudaMemory, AFailureWhileRecordingLeavesTheStreamUsable) {
    DeviceContext context;
    EXPECT_THROW(context.capture([] { fail("test", "something went wrong"); }), Error);
    Arena arena(&context);
    const Tensor tensor = arena.zeros({8});
    context.fillNumbers(tensor.onDeviceAs<float>(), 2.0f, 8);
    context.wait();
}

// Work beside goes on with what it reads and has taken, whoever has that memory next.
TEST_F(CudaMemory, WorkBesideKeepsItsMemory) {
    DeviceContext context;
    Arena arena(&context);
    constexpr std::int64_t kCount = 1 << 24;
    constexpr int kTimes = 20;  // so that the processor is far ahead of the device
    const Tensor sum = arena.zeros({kTimes});
    for (int n = 0; n < kTimes; ++n) {
        const Arena::Scratch scratch(arena);
        const Tensor from = arena.tensor({kCount});
        context.fillNumbers(from.onDeviceAs<float>(), static_cast<float>(n), kCount);
        const DeviceContext::Beside beside(context, {from});
        const Tensor own = arena.tensor({kCount});
        for (int i = 0; i < 4; ++i) context.copy(own.raw(), from.raw(), kCount * sizeof(float));
        context.copy(sum.onDeviceAs<float>() + n, own.onDeviceAs<float>() + kCount - 1, sizeof(float));
    }
    context.join();
    std::vector<float> found(kTimes), expected(kTimes);
    std::iota(expected.begin(), expected.end(), 0.0f);
    context.toHost(found.data(), sum.raw(), kTimes * sizeof(float));
    context.wait();
    EXPECT_EQ(found, expected);
}

TEST_F(CudaMemory, ProductsInEveryOrientation) {
    DeviceContext context;
    Arena arena(&context), here;
    constexpr std::int64_t m = 5, n = 7, k = 3, batches = 2;
    for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
            std::vector<float> a(batches * m * k), b(batches * k * n), c(batches * m * n, 1.0f), bias(n);
            for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 11) - 5;
            for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 7) - 3;
            for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i);
            const auto put = [&](const std::vector<float>& values) {
                const Tensor t = arena.tensor({static_cast<std::int64_t>(values.size())});
                context.toDevice(t.raw(), values.data(), values.size() * sizeof(float));
                return t.onDeviceAs<float>();
            };
            float *da = put(a), *db = put(b), *dc = put(c);
            cuda::Products p;
            p.m = m;
            p.n = n;
            p.k = k;
            p.transposeA = ta;
            p.transposeB = tb;
            p.lda = ta ? m : k;
            p.ldb = tb ? k : n;
            p.ldc = n;
            p.alpha = 2;
            p.beta = 0.5;
            p.batches = batches;
            p.strideA = m * k;
            p.strideB = k * n;
            p.strideC = m * n;
            p.bias = put(bias);
            context.blas().multiply(p, da, db, dc);
            std::vector<float> found(c.size());
            context.toHost(found.data(), dc, found.size() * sizeof(float));
            context.wait();
            for (std::int64_t batch = 0; batch < batches; ++batch)
                for (std::int64_t i = 0; i < m; ++i)
                    for (std::int64_t j = 0; j < n; ++j) {
                        float sum = 0;
                        for (std::int64_t l = 0; l < k; ++l)
                            sum += a[static_cast<std::size_t>(batch * m * k + (ta ? l * m + i : i * k + l))] *
                                   b[static_cast<std::size_t>(batch * k * n + (tb ? j * k + l : l * n + j))];
                        EXPECT_FLOAT_EQ(found[static_cast<std::size_t>((batch * m + i) * n + j)],
                                        2 * sum + 0.5f + bias[static_cast<std::size_t>(j)])
                            << ta << tb << batch << i << j;
                    }
        }
}

}  // namespace
}  // namespace linscope

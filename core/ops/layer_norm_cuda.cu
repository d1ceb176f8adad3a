#include "core/cuda/launch.cuh"
#include "core/cuda/reduce.h"
#include "core/cuda/rounded.h"
#include "core/ops/layer_norm.h"

namespace linscope::cuda {
namespace {

constexpr float kEpsilon = 1e-5f;
constexpr int kRows = 8;  // of a block: a warp each

/// A warp's row of `width` numbers, of which each thread holds pairs 2·lane, 2·lane + 64, …: up to Pairs of them, so
/// that memory is read once. Pairs 0: any width, read anew by every use.
template <int Pairs>
struct Row {
    template <typename Function>
    __device__ static void each(int width, const Function& function) {
        if constexpr (Pairs == 0) {
            for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp) function(c, 0);
        } else {
#pragma unroll
            for (int i = 0; i < Pairs; ++i) {
                const int c = 2 * static_cast<int>(threadIdx.x) + 64 * i;
                if (c < width) {
                    function(c, 2 * i);
                    function(c + 1, 2 * i + 1);
                }
            }
        }
    }
    float kept[Pairs == 0 ? 1 : 2 * Pairs];
    /// two(c) gives the numbers c and c + 1.
    template <typename Read>
    __device__ void read(int width, const Read& two) {
        if constexpr (Pairs > 0)
#pragma unroll
            for (int i = 0; i < Pairs; ++i) {
                const int c = 2 * static_cast<int>(threadIdx.x) + 64 * i;
                if (c >= width) continue;
                const float2 both = two(c);
                kept[2 * i] = both.x;
                kept[2 * i + 1] = both.y;
            }
    }
    /// value(c, i) of the whole row to out, and to a copy in bfloat16 where there is one.
    template <typename Value>
    __device__ static void write(const Out& out, std::int64_t begin, Bf16* copy, int width, const Value& value) {
        if constexpr (Pairs == 0) {
            each(width, [&](int c, int i) {
                out.put(begin + c, value(c, i));
                if (copy != nullptr) copy[begin + c] = toBf16(out.data[begin + c]);
            });
        } else {
#pragma unroll
            for (int i = 0; i < Pairs; ++i) {
                const int c = 2 * static_cast<int>(threadIdx.x) + 64 * i;
                if (c >= width) continue;
                const float2 both = out.putTwo(begin + c, value(c, 2 * i), value(c + 1, 2 * i + 1));
                if (copy != nullptr) *reinterpret_cast<unsigned*>(copy + begin + c) = packBf16(both.x, both.y);
            }
        }
    }
    template <typename Read>
    __device__ float at(int c, int i, const Read& from) const {
        if constexpr (Pairs > 0)
            return kept[i];
        else
            return from(c);
    }
};

template <int Pairs>
__global__ void forwardKernel(const float* x, const float* gain, const float* bias, Out y, float* mean, float* scale,
                              std::int64_t rows, int width) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
    if (row >= rows) return;
    const auto from = [=](int c) { return x[row * width + c]; };
    Row<Pairs> in;
    in.read(width, [=](int c) { return *reinterpret_cast<const float2*>(x + row * width + c); });
    float sum = 0, squares = 0;
    Row<Pairs>::each(width, [&](int c, int i) { sum += in.at(c, i, from); });
    const float m = warpSum(sum) / static_cast<float>(width);
    Row<Pairs>::each(width, [&](int c, int i) {
        const float away = in.at(c, i, from) - m;
        squares += away * away;
    });
    const float s = 1.0f / sqrtf(warpSum(squares) / static_cast<float>(width) + kEpsilon);
    Row<Pairs>::write(y, row * width, nullptr, width,
                      [&](int c, int i) { return (in.at(c, i, from) - m) * s * gain[c] + bias[c]; });
    if (threadIdx.x == 0) {
        mean[row] = m;
        scale[row] = s;
    }
}

/// dx, and the same in bfloat16 where `copy` asks for it.
template <int Pairs>
__global__ void backwardKernel(const float* x, const float* gain, In dy, const float* mean, const float* scale,
                               std::int64_t rows, int width, Out dx, Bf16* copy) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
    if (row >= rows) return;
    const float m = mean[row], s = scale[row];
    const auto away = [=](int c) { return (x[row * width + c] - m) * s; };
    const auto slope = [=](int c) { return dy[row * width + c] * gain[c]; };
    Row<Pairs> in, gradient;
    in.read(width, [=](int c) {
        const float2 both = *reinterpret_cast<const float2*>(x + row * width + c);
        return float2{(both.x - m) * s, (both.y - m) * s};
    });
    gradient.read(width, [=](int c) {
        const float2 both = dy.two(row * width + c);
        return float2{both.x * gain[c], both.y * gain[c + 1]};
    });
    float sumD = 0, sumDx = 0;
    Row<Pairs>::each(width, [&](int c, int i) {
        const float g = gradient.at(c, i, slope);
        sumD += g;
        sumDx += g * in.at(c, i, away);
    });
    const float meanD = warpSum(sumD) / static_cast<float>(width);
    const float meanDx = warpSum(sumDx) / static_cast<float>(width);
    Row<Pairs>::write(dx, row * width, copy, width, [&](int c, int i) {
        return s * (gradient.at(c, i, slope) - meanD - in.at(c, i, away) * meanDx);
    });
}

/// function.operator()<Pairs>() for the least number of pairs that holds a row.
template <typename Function>
void withPairs(std::int64_t width, const Function& function) {
    if (width % 2 != 0 || width > 1024)
        function.template operator()<0>();
    else if (width <= 128)
        function.template operator()<2>();
    else if (width <= 256)
        function.template operator()<4>();
    else if (width <= 512)
        function.template operator()<8>();
    else
        function.template operator()<16>();
}

void inputBackward(const Variable& x, const Variable& gain, const Variable& y, const Tensor& mean,
                   const Tensor& scale) {
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    const Out dx = outOf(x);
    Arena& arena = x.tape().arena();
    // x is a sum that residuals have come from: their products want its gradient in bfloat16.
    const bool copies = productType(arena) == DType::BF16 && !dx.rounded;
    const Tensor copy = copies ? arena.tensor(x.shape(), DType::BF16) : Tensor{};
    withPairs(width, [&]<int Pairs>() {
        backwardKernel<Pairs><<<blocksFor(rows, kRows), dim3(kWarp, kRows), 0, streamOf(y)>>>(
            x.value().onDeviceAs<float>(), gain.value().onDeviceAs<float>(), inOf(y.gradient()),
            mean.onDeviceAs<float>(), scale.onDeviceAs<float>(), rows, static_cast<int>(width), dx,
            copies ? copy.onDeviceAs<Bf16>() : nullptr);
    });
    checkLaunch("layerNorm, backwards");
    x.state()->roundedGradient = copy;
}

}  // namespace

Variable layerNorm(const Variable& x, const Variable& gain, const Variable& bias, Readers readers) {
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    Tape& tape = x.tape();
    const DType type = readers == Readers::Products ? productType(tape.arena()) : DType::F32;
    const Variable y = tape.result(x.shape(), type, x, gain, bias);
    const Tensor mean = tape.arena().tensor({rows}), scale = tape.arena().tensor({rows});
    withPairs(width, [&]<int Pairs>() {
        forwardKernel<Pairs><<<blocksFor(rows, kRows), dim3(kWarp, kRows), 0, streamOf(y)>>>(
            x.value().onDeviceAs<float>(), gain.value().onDeviceAs<float>(), bias.value().onDeviceAs<float>(),
            outOf(y.value()), mean.onDeviceAs<float>(), scale.onDeviceAs<float>(), rows, static_cast<int>(width));
    });
    checkLaunch("layerNorm");
    tape.record(y, [=] {
        if (x.needsGradient()) inputBackward(x, gain, y, mean, scale);
        const DeviceContext::Beside beside(contextOf(y));
        const Tensor dy = y.gradient();
        sumColumns(y.tape().arena(),
                   {.x = x.value().onDeviceAs<float>(),
                    .dy = dy.raw(),
                    .rounded = dy.type() == DType::BF16,
                    .mean = mean.onDeviceAs<float>(),
                    .scale = scale.onDeviceAs<float>(),
                    .rows = rows,
                    .columns = width},
                   gain, bias);
    });
    return y;
}

}  // namespace linscope::cuda

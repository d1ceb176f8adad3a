#include <algorithm>

#include "core/cuda/launch.cuh"
#include "core/cuda/reduce.h"
#include "core/cuda/rounded.h"
#include "core/ops/layer_norm.h"

namespace linscope::cuda {
namespace {

constexpr float kEpsilon = 1e-5f;
constexpr int kRows = 8;  // of a block at a time: a warp each

/// A warp's row of `width` numbers, of which each thread holds the fours at 4·lane, 4·lane + 128, …: up to Fours of
/// them, so that memory is read once. Fours 0: any width, read anew by every use.
template <int Fours>
struct Row {
    float kept[Fours == 0 ? 1 : 4 * Fours]{};

    /// function(column, place in `kept`) for all that are this thread's.
    template <typename Function>
    __device__ static void each(int width, const Function& function) {
        if constexpr (Fours == 0) {
            for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp) function(c, 0);
        } else {
            eachFour(width, [&](int c, int i) {
#pragma unroll
                for (int j = 0; j < 4; ++j) function(c + j, i + j);
            });
        }
    }
    template <typename Function>
    __device__ static void eachFour(int width, const Function& function) {
#pragma unroll
        for (int i = 0; i < Fours; ++i)
            if (const int c = 4 * static_cast<int>(threadIdx.x + i * kWarp); c < width) function(c, 4 * i);
    }
    /// four(c) gives the numbers from c on.
    template <typename Read>
    __device__ void read(int width, const Read& four) {
        eachFour(width, [&](int c, int i) {
            const float4 numbers = four(c);
            kept[i] = numbers.x;
            kept[i + 1] = numbers.y;
            kept[i + 2] = numbers.z;
            kept[i + 3] = numbers.w;
        });
    }
    /// What is kept of column c, or what from(c) gives where nothing is.
    template <typename Read>
    __device__ float at(int c, int i, const Read& from) const {
        if constexpr (Fours > 0)
            return kept[i];
        else
            return from(c);
    }
    __device__ float4 four(int i) const {
        return {kept[i], kept[i + 1], kept[i + 2], kept[i + 3]};
    }
};

/// Values of one row to float numbers, to Bf16, or to both.
struct Outputs {
    float* numbers = nullptr;
    Bf16* rounded = nullptr;
    template <int Fours, typename Value>
    __device__ void write(std::int64_t begin, int width, const Value& value) const {
        const auto put = [&](auto* to, const auto& set) {
            if (to != nullptr) set(to + begin);
        };
        if constexpr (Fours == 0) {
            Row<0>::each(width, [&](int c, int i) {
                const float one = value(c, i);
                put(numbers, [&](float* to) { to[c] = one; });
                put(rounded, [&](Bf16* to) { to[c] = toBf16(one); });
            });
        } else {
            Row<Fours>::eachFour(width, [&](int c, int i) {
                const float4 four{value(c, i), value(c + 1, i + 1), value(c + 2, i + 2), value(c + 3, i + 3)};
                put(numbers, [&](float* to) { writeFour(to + c, four); });
                put(rounded, [&](Bf16* to) { writeFour(to + c, four); });
            });
        }
    }
};
Outputs outputsTo(const Tensor& tensor) {
    if (tensor.type() == DType::BF16) return {.rounded = tensor.onDeviceAs<Bf16>()};
    return {.numbers = tensor.onDeviceAs<float>()};
}

/// y of x, which with `onto` is written first: onto + what y's place has in bfloat16.
template <int Fours>
__global__ void forwardKernel(float* x, const float* onto, const float* gain, const float* bias, Outputs y, float* mean,
                              float* scale, std::int64_t rows, int width) {
    waitForEarlier();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y, begin = row * width;
    if (row >= rows) return;
    Row<Fours> in, gains, biases;  // all on their way before the first is waited for
    gains.read(width, [=](int c) { return readFour(gain + c); });
    biases.read(width, [=](int c) { return readFour(bias + c); });
    if (onto != nullptr) {
        in.read(width, [=](int c) {
            float4 sum = readFour(onto + begin + c);
            addFour(sum, readFour(y.rounded + begin + c));
            return sum;
        });
        Outputs{.numbers = x}.write<Fours>(begin, width, [&](int c, int i) {
            return in.at(c, i, [=](int column) { return onto[begin + column] + toFloat(y.rounded[begin + column]); });
        });
    } else {
        in.read(width, [=](int c) { return readFour(x + begin + c); });
    }
    const auto from = [=](int c) { return x[begin + c]; };
    float sum = 0, squares = 0;
    Row<Fours>::each(width, [&](int c, int i) { sum += in.at(c, i, from); });
    const float m = warpSum(sum) / static_cast<float>(width);
    Row<Fours>::each(width, [&](int c, int i) {
        const float away = in.at(c, i, from) - m;
        squares += away * away;
    });
    const float s = 1.0f / sqrtf(warpSum(squares) / static_cast<float>(width) + kEpsilon);
    y.write<Fours>(begin, width, [&](int c, int i) {
        return (in.at(c, i, from) - m) * s * gains.at(c, i, [=](int d) { return gain[d]; }) +
               biases.at(c, i, [=](int d) { return bias[d]; });
    });
    if (threadIdx.x == 0) {
        mean[row] = m;
        scale[row] = s;
    }
}

/// What each block, or with rows of any width each warp, has summed of its rows: [parts,C] each.
struct Parts {
    float *gain, *bias;
    float* dx;  ///< of all that dx is then; null: not asked for, nor there for rows of any width
};

/// Blocks of a multiprocessor whose rows its registers hold.
template <int Fours>
constexpr int kBackwardBlocks = Fours == 0   ? 4
                                : Fours <= 2 ? 3
                                : Fours == 4 ? 2
                                             : 1;

/// dx (null: nobody asks for it; `add`: onto what is there), the same in bfloat16 where `copy` asks for it, and sums of
/// dy and dy·x̂, while they are here, for the gradients of bias and gain, and of dx for those of layers that x is from.
template <int Fours>
__global__ void __launch_bounds__(kRows* kWarp, kBackwardBlocks<Fours>)
    backwardKernel(const float* x, const float* gain, In dy, const float* mean, const float* scale, std::int64_t rows,
                   int width, Outputs dx, bool add, Parts parts) {
    waitForEarlier();
    Row<Fours> ofGain, ofBias, ofDx, gains;
    gains.read(width, [=](int c) { return readFour(gain + c); });
    const auto gainOf = [&](int c, int i) { return gains.at(c, i, [=](int d) { return gain[d]; }); };
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
    if constexpr (Fours == 0)
        Row<0>::each(width, [&](int c, int) { parts.gain[first * width + c] = parts.bias[first * width + c] = 0; });
    for (std::int64_t row = first; row < rows; row += static_cast<std::int64_t>(gridDim.x) * kRows) {
        const std::int64_t begin = row * width;
        const float m = mean[row], s = scale[row];
        Row<Fours> in, gradient, before;
        in.read(width, [=](int c) { return readFour(x + begin + c); });
        gradient.read(width, [=](int c) { return dy.four(begin + c); });
        if (add) before.read(width, [=](int c) { return readFour(dx.numbers + begin + c); });
        const auto awayOf = [&](int c, int i) { return (in.at(c, i, [=](int d) { return x[begin + d]; }) - m) * s; };
        const auto dyOf = [&](int c, int i) { return gradient.at(c, i, [=](int d) { return dy[begin + d]; }); };
        float sumD = 0, sumDx = 0;
        Row<Fours>::each(width, [&](int c, int i) {
            const float d = dyOf(c, i), away = awayOf(c, i), g = d * gainOf(c, i);
            sumD += g;
            sumDx += g * away;
            float& toGain = Fours == 0 ? parts.gain[first * width + c] : ofGain.kept[i];
            float& toBias = Fours == 0 ? parts.bias[first * width + c] : ofBias.kept[i];
            toGain += d * away;
            toBias += d;
        });
        if (dx.numbers == nullptr) continue;
        const float meanD = warpSum(sumD) / static_cast<float>(width),
                    meanDx = warpSum(sumDx) / static_cast<float>(width);
        dx.write<Fours>(begin, width, [&](int c, int i) {
            float all = s * (dyOf(c, i) * gainOf(c, i) - meanD - awayOf(c, i) * meanDx);
            if (add) all += before.at(c, i, [=](int d) { return dx.numbers[begin + d]; });
            if constexpr (Fours > 0) ofDx.kept[i] += all;
            return all;
        });
    }
    if constexpr (Fours > 0) {
        __shared__ float4 lines[kRows][kWarp];
        const auto overLines = [&](const Row<Fours>& sums, float* to) {
#pragma unroll
            for (int i = 0; i < Fours; ++i) {
                const int c = 4 * static_cast<int>(threadIdx.x + i * kWarp);
                float4 sum = sums.four(4 * i);
                __syncthreads();
                lines[threadIdx.y][threadIdx.x] = sum;
                __syncthreads();
                if (threadIdx.y != 0 || c >= width) continue;
                for (int line = 1; line < kRows; ++line) addFour(sum, lines[line][threadIdx.x]);
                writeFour(to + static_cast<std::int64_t>(blockIdx.x) * width + c, sum);
            }
        };
        overLines(ofGain, parts.gain);
        overLines(ofBias, parts.bias);
        if (parts.dx != nullptr) overLines(ofDx, parts.dx);
    }
}

/// function.operator()<Fours>() for the least number of fours that holds a row.
template <typename Function>
void withFours(std::int64_t width, const Function& function) {
    if (width % 4 != 0 || width > 1024)
        function.template operator()<0>();
    else if (width <= 128)
        function.template operator()<1>();
    else if (width <= 256)
        function.template operator()<2>();
    else if (width <= 512)
        function.template operator()<4>();
    else
        function.template operator()<8>();
}

void backward(const Variable& x, const Variable& gain, const Variable& bias, const Variable& y, const Tensor& mean,
              const Tensor& scale) {
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    Arena& arena = x.tape().arena();
    DeviceContext& context = contextOf(y);
    // x is a sum that residuals have come from: their products want its gradient in bfloat16, their biases its sum.
    const bool noted = x.needsGradient() && productType(arena) == DType::BF16;
    const Out dx = outOf(x);
    const Tensor copy = noted ? roundedRoomOf(x) : Tensor{};
    Tensor sums;
    withFours(width, [&]<int Fours>() {
        // As many blocks as a device has room for, each of which sums what it has for the gradients of parameters.
        const unsigned room = static_cast<unsigned>(kBackwardBlocks<Fours> * context.processors()),
                       blocks = std::min(blocksFor(rows, kRows), room);
        const std::int64_t count = Fours == 0 ? static_cast<std::int64_t>(blocks) * kRows : blocks;
        if (noted && Fours > 0) sums = sumsRoomOf(x, count);
        const Tensor ofGain = arena.tensor({count, width}), ofBias = arena.tensor({count, width});
        const Parts parts{ofGain.onDeviceAs<float>(), ofBias.onDeviceAs<float>(),
                          sums.empty() ? nullptr : sums.onDeviceAs<float>()};
        launch(context.stream(), "layerNorm, backwards", {blocks, dim3(kWarp, kRows)}, backwardKernel<Fours>,
               x.value().onDeviceAs<float>(), gain.value().onDeviceAs<float>(), inOf(y.gradient()),
               mean.onDeviceAs<float>(), scale.onDeviceAs<float>(), rows, static_cast<int>(width),
               {dx.data, noted ? copy.onDeviceAs<Bf16>() : nullptr}, dx.add, parts);
        const DeviceContext::Beside beside(context, {ofGain, ofBias});
        sumColumns(arena, {.dy = parts.bias, .ofGain = parts.gain, .rows = count, .columns = width}, gain, bias);
    });
    x.state()->roundedGradient = copy;
    x.state()->gradientSums = sums;
}

}  // namespace

void layerNormInto(const Variable& y, const Variable& x, const Variable& gain, const Variable& bias,
                   const Variable& onto) {
    const std::int64_t width = x.shape()[-1], rows = x.value().elements() / width;
    const Tensor mean = y.tape().arena().tensor({rows}), scale = y.tape().arena().tensor({rows});
    withFours(width, [&]<int Fours>() {
        launch(streamOf(y), "layerNorm", {blocksFor(rows, kRows), dim3(kWarp, kRows)}, forwardKernel<Fours>,
               x.value().onDeviceAs<float>(), onto ? onto.value().onDeviceAs<float>() : nullptr,
               gain.value().onDeviceAs<float>(), bias.value().onDeviceAs<float>(), outputsTo(y.value()),
               mean.onDeviceAs<float>(), scale.onDeviceAs<float>(), rows, static_cast<int>(width));
    });
    y.tape().record(y, [=] { backward(x, gain, bias, y, mean, scale); });
}

Variable layerNorm(const Variable& x, const Variable& gain, const Variable& bias, Readers readers) {
    Tape& tape = x.tape();
    const DType type = readers == Readers::Products ? productType(tape.arena()) : DType::F32;
    const Variable y = tape.result(x.shape(), type, x, gain, bias);
    layerNormInto(y, x, gain, bias, {});
    return y;
}

}  // namespace linscope::cuda

#include "core/cuda/launch.cuh"
#include "core/ops/cross_entropy.h"

namespace linscope::cuda {
namespace {

constexpr int kRows = 4;  // of a block: a warp each

/// Probabilities, and of each row its loss and whether its greatest logit is the target's.
__global__ void forwardKernel(const float* logits, const std::int32_t* targets, float* probabilities, float* losses,
                              std::int64_t rows, int width) {
    waitForEarlier();
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
    if (row >= rows) return;
    const float* x = logits + row * width;
    float* p = probabilities + row * width;
    float greatest = -INFINITY;
    int best = width;
    for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp)
        if (x[c] > greatest) {
            greatest = x[c];
            best = c;
        }
    const float top = warpMax(greatest);
    // Of several greatest the first, as the processor has it.
    best = greatest == top ? best : width;
    for (unsigned offset = kWarp / 2; offset > 0; offset /= 2)
        best = min(best, __shfl_xor_sync(kAllLanes, best, offset));
    float sum = 0;
    for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp) {
        const float e = expf(x[c] - top);
        p[c] = e;
        sum += e;
    }
    sum = warpSum(sum);
    const float factor = 1.0f / sum;
    for (int c = static_cast<int>(threadIdx.x); c < width; c += kWarp) p[c] *= factor;
    if (threadIdx.x == 0) {
        losses[2 * row] = logf(sum) - (x[targets[row]] - top);
        losses[2 * row + 1] = best == targets[row] ? 1.0f : 0.0f;
    }
}

/// Means of both columns of losses [N,2]; one block, so that the order is fixed.
__global__ void meanKernel(const float* losses, std::int64_t rows, float* loss, float* accuracy) {
    waitForEarlier();
    __shared__ double parts[2][kThreads];
    double sums[2] = {};
    for (std::int64_t row = threadIdx.x; row < rows; row += kThreads)
        for (int i = 0; i < 2; ++i) sums[i] += static_cast<double>(losses[2 * row + i]);
    for (int i = 0; i < 2; ++i) parts[i][threadIdx.x] = sums[i];
    __syncthreads();
    if (threadIdx.x >= 2) return;
    double sum = 0;
    for (int i = 0; i < kThreads; ++i) sum += parts[threadIdx.x][i];
    *(threadIdx.x == 0 ? loss : accuracy) = static_cast<float>(sum / static_cast<double>(rows));
}

void backward(const Variable& logits, const Variable& loss, const Tensor& probabilities, const std::int32_t* targets) {
    const Out out = outOf(logits);
    const std::int64_t rows = logits.shape()[0], width = logits.shape()[1];
    const float *p = probabilities.onDeviceAs<float>(), *dy = loss.gradient().onDeviceAs<float>();
    forEach(streamOf(loss), rows * width, "crossEntropy, backwards", [=] __device__(std::int64_t i) {
        const float one = i % width == targets[i / width] ? 1.0f : 0.0f;
        out.put(i, *dy / static_cast<float>(rows) * (p[i] - one));
    });
}

}  // namespace

CrossEntropy crossEntropy(const Variable& logits, std::span<const std::int32_t> targets) {
    const std::int64_t rows = logits.shape()[0], width = logits.shape()[1];
    Tape& tape = logits.tape();
    const Variable loss = tape.result({1}, logits.type(), logits);
    const Tensor accuracy = tape.arena().tensor({1}), probabilities = tape.arena().tensor(logits.shape()),
                 losses = tape.arena().tensor({rows, 2});
    const std::int32_t* wanted = targets.data();
    cudaStream_t stream = streamOf(loss);
    launch(stream, "crossEntropy", {blocksFor(rows, kRows), dim3(kWarp, kRows)}, forwardKernel,
           logits.value().onDeviceAs<float>(), wanted, probabilities.onDeviceAs<float>(), losses.onDeviceAs<float>(),
           rows, static_cast<int>(width));
    launch(stream, "crossEntropy", {1, kThreads}, meanKernel, losses.onDeviceAs<float>(), rows,
           loss.value().onDeviceAs<float>(), accuracy.onDeviceAs<float>());
    tape.record(loss, [=] { backward(logits, loss, probabilities, wanted); });
    return {loss, 0, accuracy};
}

}  // namespace linscope::cuda

#include "core/attention/linformer/compress.h"
#include "core/cuda/blas.h"
#include "core/cuda/launch.cuh"

namespace linscope::cuda {
namespace {

struct Sizes {
    std::int64_t batch, length, slots, width, columns, trained;
};

/// gradient [K,≥T] += Σ_b partial [B,K,T], in order.
void sumSamples(cudaStream_t stream, const Sizes& s, const float* partial, float* gradient) {
    const std::int64_t size = s.slots * s.length, batch = s.batch, length = s.length, trained = s.trained;
    forEach(stream, size, "compress, backwards", [=] __device__(std::int64_t i) {
        float sum = 0;
        for (std::int64_t b = 0; b < batch; ++b) sum += partial[b * size + i];
        gradient[i / length * trained + i % length] += sum;
    });
}

}  // namespace

Variable compress(std::span<Parameter* const> projections, const Variable& x) {
    const Shape& shape = x.shape();
    const auto parts = static_cast<std::int64_t>(projections.size());
    const Shape& e = projections[0]->value.shape();
    const std::int64_t width = shape[2] * shape[3];
    const Sizes s{shape[0], shape[1], e[0], width, width / parts, e[1]};
    const DType type = x.type();
    Tape& tape = x.tape();
    const Variable y = tape.make(tape.arena().tensor({s.batch, s.slots, shape[2], shape[3]}, type), true);
    Parameter* const* all = projections.data();
    const auto matrixOf = [=](std::int64_t part) {
        const Parameter::OnDevice& matrix = all[part]->onDevice;
        return (type == DType::BF16 ? matrix.rounded : matrix.value).raw();
    };
    const auto from = [=](const Tensor& tensor, std::int64_t part) -> void* {
        return static_cast<std::byte*>(tensor.raw()) + part * s.columns * byteSize(tensor.type());
    };
    // One product for all samples, and for each projection.
    for (std::int64_t part = 0; part < parts; ++part) {
        Products form{{.m = s.slots, .n = s.columns, .k = s.length, .lda = s.trained, .ldb = width, .ldc = width},
                      s.batch,
                      0,
                      s.length * width,
                      s.slots * width};
        form.factors = form.result = type;
        contextOf(y).blas().multiply(form, matrixOf(part), from(x.value(), part), from(y.value(), part));
    }
    tape.record(y, [=] {
        Blas& blas = contextOf(y).blas();
        const Tensor dy = y.gradient();
        const Variable::Sink dx = x.needsGradient() ? x.gradientSink() : Variable::Sink{};
        Arena& arena = y.tape().arena();
        for (std::int64_t part = 0; part < parts; ++part) {
            if (!dx.tensor.empty()) {
                Products form{{.m = s.length,
                               .n = s.columns,
                               .k = s.slots,
                               .transposeA = true,
                               .lda = s.trained,
                               .ldb = width,
                               .ldc = width,
                               .beta = dx.accumulate ? 1.0 : 0.0},
                              s.batch,
                              0,
                              s.slots * width,
                              s.length * width};
                form.factors = form.result = type;
                blas.multiply(form, matrixOf(part), from(dy, part), from(dx.tensor, part));
            }
            if (!all[part]->trained()) continue;
            const DeviceContext::Beside beside(contextOf(y), {dy, x.value()});
            float* gradient = all[part]->onDevice.gradient.onDeviceAs<float>();
            const bool one =
                s.batch == 1;  // is added where it belongs; more come beside one another, to be added in order
            float* partial = one ? gradient : arena.tensor({s.batch, s.slots, s.length}).onDeviceAs<float>();
            Products form{{.m = s.slots,
                           .n = s.length,
                           .k = s.columns,
                           .transposeB = true,
                           .lda = width,
                           .ldb = width,
                           .ldc = one ? s.trained : s.length,
                           .beta = one ? 1.0 : 0.0},
                          s.batch,
                          s.slots * width,
                          s.length * width,
                          s.slots * s.length};
            form.factors = type;
            blas.multiply(form, from(dy, part), from(x.value(), part), partial);
            if (!one) sumSamples(streamOf(y), s, partial, gradient);
        }
    });
    return y;
}

}  // namespace linscope::cuda

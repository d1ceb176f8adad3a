#include "core/attention/linformer/compress.h"

#include <vector>

#include "core/attention/softmax_attention.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/ops/elementwise.h"
#include "core/ops/gemm.h"
#include "core/ops/matmul.h"

namespace linscope {
namespace {

/// One product for each projection and sample: a projection serves `columns` neighbouring columns of x.
struct Sizes {
    std::int64_t batch, length, slots, width, columns, parts, trained;
    Precision precision;
};

// The sum over samples runs inside one thread for each band of rows of dE: no two threads meet.
template <typename T>
void projectionGradient(const Sizes& s, const T* dy, const T* x, T* gradient) {
    parallelFor(s.slots, 8, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t b = 0; b < s.batch; ++b)
            multiply({.m = last - first,
                      .n = s.length,
                      .k = s.columns,
                      .transposeB = true,
                      .lda = s.width,
                      .ldb = s.width,
                      .ldc = s.trained,
                      .beta = 1.0,
                      .precision = s.precision},
                     dy + (b * s.slots + first) * s.width, x + b * s.length * s.width, gradient + first * s.trained);
    });
}

}  // namespace

Variable compress(std::span<Parameter* const> projections, const Variable& x, std::span<const float> keep) {
    const Shape& shape = x.shape();
    const auto parts = static_cast<std::int64_t>(projections.size());
    require(shape.rank() == 4 && (parts == 1 || parts == shape[2]), "compress",
            "x [B,T,H,D] with one projection or one for each head, but got {} and {} projections", shape.text(), parts);
    const std::int64_t trained = projections[0]->value.shape()[1], width = shape[2] * shape[3];
    require(shape[1] <= trained, "compress", "at most {} tokens, which the projection is made for, but got {}", trained,
            shape[1]);
    const Sizes s{shape[0],
                  shape[1],
                  projections[0]->value.shape()[0],
                  width,
                  width / parts,
                  parts,
                  trained,
                  x.tape().precision()};

    Tape& tape = x.tape();
    const Variable tokens =
        keep.empty() ? x : reshape(scaleRows(reshape(x, {s.batch, s.length, s.width}), keep), shape);
    if (x.value().onDevice()) return cuda::compress(projections, tokens);
    // The projections need gradients even where x does not.
    const Variable y = tape.make(tape.arena().tensor({s.batch, s.slots, shape[2], shape[3]}, x.type()), true);
    Parameter* const* all = projections.data();
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        parallelFor(s.batch * parts, 1, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i) {
                const std::int64_t b = i / parts, part = i % parts;
                multiply({.m = s.slots,
                          .n = s.columns,
                          .k = s.length,
                          .lda = trained,
                          .ldb = s.width,
                          .ldc = s.width,
                          .precision = s.precision},
                         all[part]->value.as<T>(), tokens.value().as<T>() + b * s.length * s.width + part * s.columns,
                         y.value().as<T>() + b * s.slots * s.width + part * s.columns);
            }
        });
    });
    tape.record(y, [=] {
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            const T* dy = y.gradient().as<T>();
            if (tokens.needsGradient()) {
                const auto dx = tokens.gradientSink();
                parallelFor(s.batch * parts, 1, [&](std::int64_t first, std::int64_t last) {
                    for (std::int64_t i = first; i < last; ++i) {
                        const std::int64_t b = i / parts, part = i % parts;
                        multiply({.m = s.length,
                                  .n = s.columns,
                                  .k = s.slots,
                                  .transposeA = true,
                                  .lda = s.trained,
                                  .ldb = s.width,
                                  .ldc = s.width,
                                  .beta = dx.accumulate ? 1.0 : 0.0,
                                  .precision = s.precision},
                                 all[part]->value.as<T>(), dy + b * s.slots * s.width + part * s.columns,
                                 dx.tensor.as<T>() + b * s.length * s.width + part * s.columns);
                    }
                });
            }
            for (std::int64_t part = 0; part < parts; ++part)
                if (all[part]->trained())
                    projectionGradient<T>(s, dy + part * s.columns, tokens.value().as<T>() + part * s.columns,
                                          all[part]->gradient.as<T>());
        });
    });
    return y;
}

Variable plainCompress(std::span<Parameter* const> projections, const Variable& x, std::span<const float> keep) {
    std::vector<Variable> leaves;
    for (const Parameter* p : projections) leaves.push_back(leafOf(x.tape(), *p));
    const Variable projection = leaves.size() > 1 ? stack(leaves) : leaves[0];  // [H,K,T] or [K,T]
    const Variable tokens = withoutPadding(x, keep);
    return swapMiddle(matmul(firstColumns(projection, x.shape()[1]), swapMiddle(tokens)));
}

}  // namespace linscope

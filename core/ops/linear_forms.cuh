#pragma once

#include "core/cuda/blas.h"
#include "core/cuda/launch.cuh"
#include "core/cuda/reduce.h"
#include "core/cuda/rounded.h"
#include "core/ops/linear.h"

// A linear layer's products and gradients, for the operations that it is a part of.

namespace linscope::cuda {

inline bool inBf16(const Variable& x) {
    return contextOf(x).precision() == Precision::Bf16;
}
/// A value as the factor of a product.
inline Tensor factorOf(const Variable& x) {
    return inBf16(x) ? roundedOf(x) : x.value();
}

/// y = x·Wᵀ + b, with more where `form` says so.
inline Products forwardForm(const Variable& weight, const Variable& bias, std::int64_t rows, const Tensor& y) {
    const std::int64_t out = weight.shape()[0], in = weight.shape()[1];
    Products form{{.m = rows, .n = out, .k = in, .transposeB = true, .lda = in, .ldb = in, .ldc = out}};
    form.factors = inBf16(weight) ? DType::BF16 : DType::F32;
    form.result = y.type();
    form.bias = (y.type() == DType::BF16 ? roundedOf(bias) : bias.value()).raw();
    return form;
}
/// dL/dy of a layer [R,O], from which its other gradients come.
struct Flow {
    Tensor dy;                   // [R,C]
    std::int64_t rows, columns;  ///< C is O, or more: columns of zeros behind
    Tensor sums;                 // [S,O]: rows whose sum is that of dy's
};
inline Flow flowOf(const Tensor& dy, const Variable& weight) {
    const std::int64_t out = weight.shape()[0];
    return {dy, dy.elements() / out, out, dy};
}

/// The same of a result whose gradient has been written, in bfloat16.
inline Flow roundedFlowOf(const Variable& y, const Variable& weight) {
    Flow flow = flowOf(roundedGradientOf(y), weight);
    if (const Tensor& sums = y.state()->gradientSums; !sums.empty()) flow.sums = sums;
    return flow;
}

/// dx (+)= dy·W, W [C,I] a factor.
inline void inputBackward(DeviceContext& context, const Flow& flow, const Out& dx, const Tensor& weights) {
    const std::int64_t in = weights.shape()[1];
    Products form{{.m = flow.rows,
                   .n = in,
                   .k = flow.columns,
                   .lda = flow.columns,
                   .ldb = in,
                   .ldc = in,
                   .beta = dx.add ? 1.0 : 0.0}};
    form.factors = flow.dy.type();
    form.result = dx.rounded ? DType::BF16 : DType::F32;
    context.blas().multiply(form, flow.dy.raw(), weights.raw(), dx.data);
}
inline void inputBackward(const Flow& flow, const Out& dx, const Variable& weight) {
    if (dx.data != nullptr) inputBackward(contextOf(weight), flow, dx, factorOf(weight));
}

// Gradients of parameters are computed beside the rest.

/// The gradient of the bias from rows whose sum is that of dy's.
inline void biasBackward(const Tensor& sums, const Variable& bias) {
    const std::int64_t out = bias.shape()[0];
    const DeviceContext::Beside beside(contextOf(bias), {sums});
    sumColumns(bias.tape().arena(),
               {.dy = sums.raw(), .rounded = sums.type() == DType::BF16, .rows = sums.elements() / out, .columns = out},
               {}, bias);
}
/// The gradient of the weight from dy and x, factors both.
inline void weightBackward(const Flow& flow, const Tensor& x, const Variable& weight) {
    if (!weight.needsGradient()) return;
    const std::int64_t out = weight.shape()[0], in = weight.shape()[1];
    DeviceContext& context = contextOf(weight);
    const DeviceContext::Beside beside(context, {flow.dy, x});
    const Out dw = outOf(weight);
    Products form{{.m = out,
                   .n = in,
                   .k = flow.rows,
                   .transposeA = true,
                   .lda = flow.columns,
                   .ldb = in,
                   .ldc = in,
                   .beta = dw.add ? 1.0 : 0.0}};
    form.factors = flow.dy.type();
    context.blas().multiply(form, flow.dy.raw(), x.raw(), dw.data);
}
inline void parametersBackward(const Flow& flow, const Tensor& x, const Variable& weight, const Variable& bias) {
    weightBackward(flow, x, weight);
    biasBackward(flow.sums, bias);
}

}  // namespace linscope::cuda

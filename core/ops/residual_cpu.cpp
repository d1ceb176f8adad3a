#include "core/autograd/tape.h"
#include "core/ops/elementwise.h"
#include "core/ops/layer_norm.h"
#include "core/ops/residual.h"

namespace linscope {

Variable linearOnto(const Variable& onto, const Variable& x, const Variable& weight, const Variable& bias) {
    if (x.value().onDevice()) return cuda::linearOnto(onto, x, weight, bias);
    return add(onto, linear(x, weight, bias));
}

Residual residual(const Variable& onto, const Variable& x, const Layer& layer, const Layer& norm) {
    if (x.value().onDevice()) return cuda::residual(onto, x, layer, norm);
    const Variable sum = linearOnto(onto, x, layer.weight, layer.bias);
    return {sum, layerNorm(sum, norm.weight, norm.bias, Readers::Products)};
}

Variable feedForward(const Variable& onto, const Variable& x, const Layer& up, const Layer& down) {
    if (x.value().onDevice()) return cuda::feedForward(onto, x, up, down);
    return linearOnto(onto, linear(x, up.weight, up.bias, Activation::Gelu), down.weight, down.bias);
}

}  // namespace linscope

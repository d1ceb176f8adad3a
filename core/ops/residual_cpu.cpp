#include "core/autograd/tape.h"
#include "core/ops/elementwise.h"
#include "core/ops/layer_norm.h"
#include "core/ops/residual.h"

namespace linscope {

Residual residual(const Variable& onto, const Variable& x, const Layer& layer, const Layer& norm) {
    if (x.value().onDevice()) return cuda::residual(onto, x, layer, norm);
    const Variable sum = add(onto, linear(x, layer.weight, layer.bias));
    return {sum, layerNorm(sum, norm.weight, norm.bias, Readers::Products)};
}

Variable feedForward(const Variable& onto, const Variable& x, const Layer& up, const Layer& down) {
    if (x.value().onDevice()) return cuda::feedForward(onto, x, up, down);
    return add(onto, linear(linear(x, up.weight, up.bias, Activation::Gelu), down.weight, down.bias));
}

}  // namespace linscope

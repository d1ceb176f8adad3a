#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "core/attention/attend.h"
#include "core/attention/head_norm.h"
#include "core/attention/linformer/pool.h"
#include "core/attention/mechanism.h"
#include "core/autograd/tape.h"
#include "core/base/random.h"
#include "core/cuda/context.h"
#include "core/cuda/rounded.h"
#include "core/nn/parameters.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/layer_norm.h"
#include "core/ops/linear.h"
#include "core/ops/pointwise.h"
#include "core/ops/residual.h"
#include "core/ops/rotary.h"
#include "core/ops/short_convolution.h"
#include "tests/core/cuda/cuda_test.h"

namespace linscope {
namespace {

using Numbers = std::vector<float>;

/// Constant lists that an operation is given beside its inputs, on the device that it runs on.
struct Lists {
    std::vector<std::int32_t> words;
    std::vector<std::int64_t> rows;
    Numbers factors;
};
struct ListSpans {
    std::span<const std::int32_t> words;
    std::span<const std::int64_t> rows;
    std::span<const float> factors;
};
using Function = std::function<Variable(const std::vector<Variable>&, const ListSpans&)>;

class CudaOps : public test::CudaTest {
protected:
    struct Outcome {
        std::vector<Numbers> all;  ///< the result, then each input's gradient
    };

    static Tensor toTensor(Arena& arena, const Shape& shape, const Numbers& values) {
        const Tensor tensor = arena.tensor(shape);
        if (arena.context() == nullptr) {
            std::ranges::copy(values, tensor.as<float>());
        } else {
            arena.context()->toDevice(tensor.raw(), values.data(), values.size() * sizeof(float));
            arena.context()->wait();
        }
        return tensor;
    }
    static Numbers toNumbers(const Tensor& tensor, DeviceContext* device) {
        Numbers values(static_cast<std::size_t>(tensor.elements()));
        if (device == nullptr) {
            std::ranges::copy(tensor.span<float>(), values.begin());
        } else {
            device->toHost(values.data(), tensor.raw(), values.size() * sizeof(float));
            device->wait();
        }
        return values;
    }
    template <typename T>
    static std::span<const T> toSpan(Arena& arena, const std::vector<T>& values) {
        if (arena.context() == nullptr || values.empty()) return values;
        const std::size_t bytes = values.size() * sizeof(T);
        const Tensor memory = arena.tensor({static_cast<std::int64_t>(bytes / 4)}, DType::I32);
        arena.context()->toDevice(memory.raw(), values.data(), bytes);
        arena.context()->wait();
        return {static_cast<const T*>(memory.raw()), values.size()};
    }

    Outcome run(const std::vector<Shape>& shapes, const Lists& lists, const Function& function, DeviceContext* device) {
        Random random(4, "device");
        Arena arena(device, true);
        Tape tape(arena);
        std::vector<Variable> inputs;
        for (const Shape& shape : shapes) {
            Numbers values(static_cast<std::size_t>(shape.elements()));
            for (float& x : values) x = static_cast<float>(random.normal());
            inputs.push_back(tape.leaf(toTensor(arena, shape, values), arena.zeros(shape)));
        }
        const ListSpans spans{toSpan(arena, lists.words), toSpan(arena, lists.rows), toSpan(arena, lists.factors)};
        // Each input takes part twice, so that gradients have to add up.
        const Variable y = add(function(inputs, spans), scale(function(inputs, spans), 0.5));
        Numbers upstream(static_cast<std::size_t>(y.value().elements()));
        for (float& x : upstream) x = static_cast<float>(random.normal());
        tape.backward(y, toTensor(arena, y.shape(), upstream));
        Outcome outcome{{toNumbers(y.value(), device)}};
        for (const Variable& input : inputs) outcome.all.push_back(toNumbers(input.gradient(), device));
        return outcome;
    }

    /// A norm before and after, so that what only products read is kept for them.
    static Variable feedForwardBetweenNorms(const std::vector<Variable>& in, const ListSpans&) {
        const Variable x = scale(in[0], 1), h = layerNorm(x, in[5], in[6], Readers::Products);
        return layerNorm(feedForward(x, h, {in[1], in[2]}, {in[3], in[4]}), in[5], in[6]);
    }

    /// Forward and backward on the device against the processor, and, unless a library says otherwise, twice alike.
    void compare(const char* name, const std::vector<Shape>& shapes, const Lists& lists, const Function& function,
                 Precision precision = Precision::Single, double rounding = 2e-2, bool repeats = true) {
        // Rounding to 7 bits leaves 2⁻⁹ of each factor; a wrong term is far above.
        const double bound = precision == Precision::Single ? 1e-5 : rounding;
        DeviceContext device;
        device.setPrecision(precision);
        const Outcome here = run(shapes, lists, function, nullptr), there = run(shapes, lists, function, &device);
        for (std::size_t i = 0; i < here.all.size(); ++i) {
            double error = 0, norm = 0;
            for (std::size_t j = 0; j < here.all[i].size(); ++j) {
                const double a = static_cast<double>(here.all[i][j]), b = static_cast<double>(there.all[i][j]);
                error += (a - b) * (a - b);
                norm += a * a;
            }
            EXPECT_LE(std::sqrt(error), bound * std::max(std::sqrt(norm), 1e-3))
                << name << (i == 0 ? ", forward" : ", gradient ") << i;
        }
        if (!repeats) return;
        const Outcome again = run(shapes, lists, function, &device);
        EXPECT_EQ(again.all, there.all) << name << ": the same bits every time";
    }
};

TEST_F(CudaOps, AgreeWithTheProcessor) {
    compare("linear", {{3, 37, 20}, {50, 20}, {50}}, {},
            [](const auto& in, const auto&) { return linear(in[0], in[1], in[2]); });
    compare("linear, gelu", {{3, 70, 32}, {130, 32}, {130}}, {},
            [](const auto& in, const auto&) { return linear(in[0], in[1], in[2], Activation::Gelu); });
    for (const std::int64_t width : {6, 32, 128, 300, 1030})
        compare("layerNorm", {{5, 41, width}, {width}, {width}}, {},
                [](const auto& in, const auto&) { return layerNorm(in[0], in[1], in[2]); });
    // More rows than there are at once, and a warp with none left.
    compare("layerNorm", {{3, 2003, 132}, {132}, {132}}, {},
            [](const auto& in, const auto&) { return layerNorm(in[0], in[1], in[2]); });
    compare("add, reshape", {{4, 6, 8}, {24, 8}}, {}, [](const auto& in, const auto&) {
        return add(reshape(in[0], {24, 8}), reshape(reshape(in[1], {4, 48}), {24, 8}));
    });
    compare("add of itself", {{4, 6}}, {}, [](const auto& in, const auto&) {
        const Variable twice = scale(in[0], 2);
        return add(twice, twice);
    });
    compare("scaleRows", {{3, 2, 5}}, {.factors = {1, 0, 0.5f, 1, 0, 2}},
            [](const auto& in, const auto& lists) { return scaleRows(in[0], lists.factors); });
    for (const std::int64_t width : {6, 7})
        for (const bool inverse : {false, true})
            compare("rotary", {{2, 9, 3, width}}, {},
                    [=](const auto& in, const auto&) { return rotary(in[0], inverse); });
}

TEST_F(CudaOps, LayersOntoAResidualAgreeWithTheProcessor) {
    for (const Precision precision : {Precision::Single, Precision::Bf16}) {
        compare(
            "residual, the sum alone", {{3, 40, 48}, {3, 40, 24}, {48, 24}, {48}, {48}, {48}}, {},
            [](const auto& in, const auto&) {
                return residual(in[0], in[1], {in[2], in[3]}, {in[4], in[5]}).sum;
            },
            precision);
        for (const std::int64_t width : {48, 50})
            compare(
                "residual", {{3, 40, width}, {3, 40, 24}, {width, 24}, {width}, {width}, {width}, {24, width}, {24}},
                {},
                [](const auto& in, const auto&) {
                    const Residual both = residual(in[0], in[1], {in[2], in[3]}, {in[4], in[5]});
                    return feedForward(both.sum, both.normed, {in[6], in[7]}, {in[2], in[3]});
                },
                precision);
        // More rows than there are at once, and few.
        for (const auto& [rows, inner] : {std::pair<std::int64_t, std::int64_t>{3000, 136}, {40, 128}})
            compare("feedForward", {{3, rows, 32}, {inner, 32}, {inner}, {32, inner}, {32}, {32}, {32}}, {},
                    feedForwardBetweenNorms, precision);
        for (const std::int64_t out : {257, 3})
            compare(
                "linear", {{2, 24, 16}, {out, 16}, {out}}, {},
                [](const auto& in, const auto&) { return linear(in[0], in[1], in[2]); }, precision);
        for (const Readers readers : {Readers::Any, Readers::Products})
            compare(
                "linear twice", {{2, 24, 16}, {32, 16}, {32}, {16, 32}, {16}}, {},
                [=](const auto& in, const auto&) {
                    return linear(linear(in[0], in[1], in[2], Activation::None, readers), in[3], in[4]);
                },
                precision);
    }
}

// The larger the values, the more memory is spared (core/ops/residual_cuda.cu): from 8 and 64 MiB on.
TEST_F(CudaOps, LargeLayersOntoAResidualAgreeWithTheProcessor) {
    for (const std::int64_t rows : {8192, 16'384, 65'536})
        compare("feedForward", {{1, rows, 256}, {64, 256}, {64}, {256, 64}, {256}, {256}, {256}}, {},
                feedForwardBetweenNorms, Precision::Bf16);
}

// Where GELU is computed as the products end: fewer rows than there are blocks, rows that end within a tile, and so
// many that what is activated is computed again, by parts too.
TEST_F(CudaOps, FeedForwardWithGeluInItsProductsAgreesWithTheProcessor) {
    for (const auto& [rows, width, inner] : {std::array<std::int64_t, 3>{7, 128, 128},
                                             {1000, 128, 512},
                                             {777, 256, 1024},
                                             {8200, 256, 128},
                                             {65'600, 256, 128}})
        compare("feedForward", {{1, rows, width}, {inner, width}, {inner}, {width, inner}, {width}, {width}, {width}},
                {}, feedForwardBetweenNorms, Precision::Bf16);
}

// Queries, keys and values as a model has them, of which the gradients lie side by side.
TEST_F(CudaOps, LayersOfANormAgreeWithTheProcessor) {
    for (const auto& [batch, length, width] :
         {std::array<std::int64_t, 3>{1, 40, 128}, {2, 333, 256}, {70, 130, 128}, {160, 60, 256}})
        compare(
            "linears of a norm",
            {{batch, length, width},
             {width},
             {width},
             {width, width},
             {width, width},
             {width, width},
             {width},
             {width},
             {width}},
            {},
            [&](const auto& in, const auto&) {
                const Variable x = scale(in[0], 1), h = layerNorm(x, in[1], in[2], Readers::Products);
                std::array<Layer, 3> layers;
                for (std::size_t i = 0; i < layers.size(); ++i) {
                    layers[i] = {in[3 + i], in[6 + i]};
                    if (!x.value().onDevice()) continue;
                    // One behind the other, as a model's parameters are.
                    for (const Variable& parameter : {in[3 + i], in[6 + i]}) cuda::roundedOf(parameter);
                }
                const Three qkv = linears(h, layers, {batch, length, width / 32, 32}, Readers::Products);
                // Scores of a model's size, and places, without which a bias of keys changes nothing.
                const auto placed = [&](const Variable& y) { return rotary(scale(y, 1 / static_cast<double>(width))); };
                const Variable o = attend(placed(qkv[0]), placed(qkv[1]), qkv[2], {});
                gradientsSideBySide(o, qkv);
                return add(x, linear(reshape(o, x.shape()), in[3], in[6]));
            },
            Precision::Bf16, 4e-2);  // the bound of the proofs
}

// Heads of width 64 and more, where cuDNN computes what depends on the dot products alone.
TEST_F(CudaOps, AttentionOfProjectionsInBfloat16AgreesWithTheProcessor) {
    for (const std::int64_t length : {64, 100, 257})
        for (const std::int64_t width : {64, 128})
            for (const bool causal : {false, true}) {
                const std::int64_t inner = 2 * width;
                compare(
                    "attend", {{2, length, 32}, {inner, 32}, {inner, 32}, {inner, 32}, {inner}, {24, inner}, {24}}, {},
                    [=](const auto& in, const auto&) {
                        const Variable x = scale(in[0], 0.1);  // for scores of a model's size
                        const auto headsOf = [&](std::size_t weight) {
                            return reshape(linear(x, in[weight], in[4], Activation::None, Readers::Products),
                                           {2, length, 2, width});
                        };
                        const Variable o = attend(headsOf(1), headsOf(2), headsOf(3), {.causal = causal});
                        return linear(reshape(o, {2, length, inner}), in[5], in[6]);
                    },
                    Precision::Bf16, 4e-2, false);  // the bound of the proofs
            }
}

// With many heads a block walks over a whole sequence, with few over a part of it: five chunks, the last one short.
TEST_F(CudaOps, LinearAttentionOfProjectionsInBfloat16AgreesWithTheProcessor) {
    constexpr std::int64_t kLength = 300;
    for (const auto& [heads, width] : {std::pair<std::int64_t, std::int64_t>{2, 64}, {40, 32}, {40, 64}, {34, 128}})
        for (const bool causal : {false, true}) {
            const std::int64_t inner = heads * width;
            ParameterStore parameters(1);
            const auto mechanism = findMechanism("linear").create(
                {}, {.heads = heads, .headWidth = width, .length = kLength, .causal = causal}, parameters);
            compare(
                "linear attention",
                {{2, kLength, 24}, {inner, 24}, {inner, 24}, {inner, 24}, {inner}, {16, inner}, {16}}, {},
                [&](const auto& in, const auto&) {
                    // Values differ by more than the bias that they share: what cancels in dL/dq is small beside them.
                    const Variable x = scale(in[0], 0.4);
                    const auto headsOf = [&](std::size_t weight) {
                        return reshape(linear(x, in[weight], in[4], Activation::None, Readers::Products),
                                       {2, kLength, heads, width});
                    };
                    const Variable o =
                        mechanism->forward({.layer = 0, .q = headsOf(1), .k = headsOf(2), .v = headsOf(3)});
                    return linear(reshape(o, {2, kLength, inner}), in[5], in[6]);
                },
                Precision::Bf16);
        }
}

TEST_F(CudaOps, ShortConvolutionsAgreeWithTheProcessor) {
    Lists lists;
    for (int i = 0; i < 3 * 70; ++i) lists.factors.push_back(i % 70 < 66 - i / 70 ? 1.0f : 0.0f);
    for (const std::int64_t taps : {1, 3, 4})
        for (const bool centred : {false, true}) {
            if (centred && taps % 2 == 0) continue;
            compare("shortConvolution", {{3, 70, 20}, {taps, 20}}, {},
                    [=](const auto& in, const auto&) { return shortConvolution(in[0], in[1], {.centred = centred}); });
            compare("shortConvolution with padding", {{3, 70, 20}, {taps, 20}}, lists,
                    [=](const auto& in, const auto& l) {
                        return shortConvolution(in[0], in[1], {.centred = centred, .keep = l.factors});
                    });
        }
}

TEST_F(CudaOps, PartsAgreeWithTheProcessor) {
    for (const std::int64_t begin : {0, 2})
        compare("slice", {{3, 7, 4, 5}}, {}, [=](const auto& in, const auto&) { return slice(in[0], begin, 4); });
    compare("concatenate", {{3, 2, 5}, {3, 4, 5}}, {}, [](const auto& in, const auto&) {
        return concatenate(std::vector{in[1], in[0], in[1]});
    });
}

TEST_F(CudaOps, NormsOfRowsAgreeWithTheProcessor) {
    for (const std::int64_t width : {3, 32, 100})
        for (const RowNorm& norm : {unitNorm(), rmsNorm(width, 1e-3)})
            compare("normaliseRows", {{2, 9, 3, width}}, {},
                    [=](const auto& in, const auto&) { return normaliseRows(in[0], norm); });
}

TEST_F(CudaOps, PoolsAgreeWithTheProcessor) {
    Lists lists;
    for (int i = 0; i < 2 * 20; ++i) lists.factors.push_back(i % 5 == 3 ? 0.0f : 1.0f);
    for (const std::int64_t slots : {1, 7, 23})
        for (const std::int64_t parts : {1, 3}) {
            const Segments segments{23, slots};  // of which 20 tokens are there
            compare("poolSegments", {{2, 20, 3, 8}, {parts, segments.longest()}}, lists,
                    [=](const auto& in, const auto& l) { return poolSegments(in[0], in[1], segments, l.factors); });
        }
}

TEST_F(CudaOps, EmbeddingsAgreeWithTheProcessor) {
    Lists lists;
    Random random(5, "words");
    for (int i = 0; i < 3 * 700; ++i) lists.words.push_back(static_cast<std::int32_t>(random.below(11)));
    for (const std::int64_t width : {5, 40, 300}) {
        compare("embed", {{11, width}}, lists,
                [](const auto& in, const auto& l) { return embed(l.words, 3, 700, in[0], {}); });
        compare("embed with positions", {{11, width}, {800, width}}, lists,
                [](const auto& in, const auto& l) { return embed(l.words, 3, 700, in[0], in[1]); });
    }
    compare("meanTokens", {{2, 3, 5}}, {.factors = {1, 0, 1, 1, 1, 0}},
            [](const auto& in, const auto& l) { return meanTokens(in[0], l.factors); });
    compare("meanTokens of all", {{2, 3, 5}}, {}, [](const auto& in, const auto&) { return meanTokens(in[0], {}); });
    compare("selectRows", {{2, 3, 5}}, {.rows = {0, 2, 5}},
            [](const auto& in, const auto& l) { return selectRows(in[0], l.rows); });
    for (const std::int64_t width : {3, 257})
        compare("crossEntropy", {{9, width}}, {.words = {0, 1, 2, 0, 1, 2, 1, 1, 0}},
                [](const auto& in, const auto& l) { return crossEntropy(in[0], l.words).loss; });
}

TEST_F(CudaOps, AccuracyCountsTheFirstOfSeveralGreatest) {
    DeviceContext device;
    Arena arena(&device);
    Tape tape(arena, false);
    const std::vector<std::int32_t> targets{1, 1, 0, 2};
    const Numbers logits{0, 2, 2, /**/ 0, 1, 2, /**/ 5, 5, 5, /**/ 0, 0, 1};
    const CrossEntropy result = crossEntropy(tape.constant(toTensor(arena, {4, 3}, logits)), toSpan(arena, targets));
    EXPECT_EQ(toNumbers(result.accuracyOnDevice, &device), Numbers{0.75f});
}

TEST_F(CudaOps, MoreSequencesThanAGridHoldsAreRefusedInWords) {
    DeviceContext context;
    Arena arena(&context);
    Tape tape(arena);
    const Variable x = tape.constant(arena.zeros({65536, 1, 1, 8}));
    EXPECT_THAT([&] { attend(x, x, x, {}); },
                testing::ThrowsMessage<Error>(testing::HasSubstr("make task.batch smaller")));
}

TEST_F(CudaOps, AGradientInBfloat16GoesBack) {
    DeviceContext context;
    Arena arena(&context);
    Tape tape(arena);
    const Shape shape{3};
    const std::uint16_t three[] = {0x4040, 0x4040, 0x4040}, six = 0x40C0;
    const auto onDevice = [&](int byte) {
        const Tensor x = arena.tensor(shape, DType::BF16);
        context.fill(x.raw(), byte, sizeof(three));
        return x;
    };
    const Tensor gradient = onDevice(0), seed = onDevice(0);
    context.toDevice(seed.raw(), three, sizeof(three));
    tape.backward(scale(tape.leaf(onDevice(0), gradient), 2), seed);
    std::uint16_t found[3] = {};
    context.toHost(found, gradient.raw(), sizeof(found));
    context.wait();
    for (const std::uint16_t bits : found) EXPECT_EQ(bits, six);
}

}  // namespace
}  // namespace linscope

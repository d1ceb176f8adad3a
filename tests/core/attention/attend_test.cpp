#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/attention/attend.h"
#include "core/attention/position.h"
#include "core/attention/proof_case.h"
#include "core/attention/softmax_attention.h"
#include "core/attention/whole_map.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/ops/elementwise.h"

namespace linscope {
namespace {

using proofs::Numbers;
using proofs::relativeError;

struct Setting {
    std::int64_t queries = 1, keys = 1;
    bool causal = false;
    std::int64_t window = 0;
    bool slopes = false, bias = false, padded = false;
    std::int64_t batch = 2, heads = 2, width = 4;
    std::string text() const {
        return fmt::format("T{} S{} causal {} window {} slopes {} bias {} padded {}", queries, keys, causal, window,
                           slopes, bias, padded);
    }
};

struct Result {
    Numbers o, dq, dk, dv, dBias;
};

Numbers numbersOf(const Tensor& tensor) {
    const auto span = tensor.span<double>();
    return {span.begin(), span.end()};
}

/// Sample 0 lacks a stretch of places that is longer than small windows, and its first; the others a few here and
/// there.
std::vector<float> paddingOf(const Setting& s) {
    std::vector<float> keep(static_cast<std::size_t>(s.batch * s.keys), 1.0f);
    for (std::int64_t j = 0; j < s.keys; ++j) {
        if (j == 0 || (j >= s.keys / 3 && j < s.keys / 3 + 20)) keep[static_cast<std::size_t>(j)] = 0;
        for (std::int64_t b = 1; b < s.batch; ++b)
            if (j % 7 == 3) keep[static_cast<std::size_t>(b * s.keys + j)] = 0;
    }
    return keep;
}

/// Output and gradients in double. `nan` puts NaN at padded keys and values.
template <typename Function>
Result run(const Setting& s, bool nan, Function&& function) {
    Random random(11, "attend");
    Arena arena(true);
    Tape tape(arena);
    const auto leaf = [&](const Shape& shape) {
        const Tensor value = arena.tensor(shape, DType::F64);
        for (double& x : value.span<double>()) x = random.normal();
        return tape.leaf(value, arena.zeros(shape, DType::F64));
    };
    const Shape rows{s.batch, s.queries, s.heads, s.width}, columns{s.batch, s.keys, s.heads, s.width};
    const Variable q = leaf(rows), k = leaf(columns), v = leaf(columns), bias = leaf({s.heads, kRelativeBuckets});
    const Variable upstream = leaf(rows);
    const std::vector<float> keep = s.padded ? paddingOf(s) : std::vector<float>{};
    for (std::size_t j = 0; nan && j < keep.size(); ++j)
        for (const Variable& x : {k, v})
            if (keep[j] == 0)
                std::fill_n(x.value().as<double>() + static_cast<std::int64_t>(j) * s.heads * s.width,
                            s.heads * s.width, std::numeric_limits<double>::quiet_NaN());
    const std::vector<double> slopes = alibiSlopes(s.heads);
    AttendOptions options{.keep = keep, .causal = s.causal, .window = s.window};
    if (s.slopes) options.slopes = slopes;
    if (s.bias) options.bias = bias;
    const Variable o = function(q, k, v, options);
    tape.backward(o, upstream.value());
    return {numbersOf(o.value()), numbersOf(q.gradient()), numbersOf(k.gradient()), numbersOf(v.gradient()),
            numbersOf(bias.gradient())};
}

/// attend() on results of operations: their gradients are written to fresh memory, those of leaves are added to.
Variable attendOnResults(const Variable& q, const Variable& k, const Variable& v, AttendOptions options) {
    if (options.bias) options.bias = scale(options.bias, 1);
    return attend(scale(q, 1), scale(k, 1), scale(v, 1), options);
}

void expectPlain(const Setting& s) {
    SCOPED_TRACE(s.text());
    const int threads = threadCount();
    setThreadCount(1);  // many small loops, where waking threads takes longer than the work
    const Result plain = run(s, false, softmaxAttention);
    setThreadCount(threads);
    for (const Result& blocked : {run(s, s.padded, attend), run(s, s.padded, attendOnResults)}) {
        EXPECT_LT(relativeError(blocked.o, plain.o), 1e-13);
        EXPECT_LT(relativeError(blocked.dq, plain.dq), 1e-13);
        EXPECT_LT(relativeError(blocked.dk, plain.dk), 1e-13);
        EXPECT_LT(relativeError(blocked.dv, plain.dv), 1e-13);
        EXPECT_LT(relativeError(blocked.dBias, plain.dBias), 1e-12);
    }
}

// 176 queries and 192 keys make a block; queries are computed in panels of 8 or more.
constexpr std::int64_t kLengths[]{1, 2, 15, 17, 176, 177, 192, 193, 385};

TEST(Attend, FullAndCausalAtTheEdgesOfBlocks) {
    for (const std::int64_t length : kLengths)
        for (const bool causal : {false, true})
            for (const bool padded : {false, true})
                expectPlain({.queries = length, .keys = length, .causal = causal, .padded = padded});
}

TEST(Attend, WindowsSmallerAndLargerThanABlock) {
    for (const std::int64_t length : {175, 177, 193, 385})
        for (const std::int64_t window : {1, 5, 176, 193, 384})
            for (const bool causal : {false, true})
                expectPlain({.queries = length, .keys = length, .causal = causal, .window = window, .batch = 1});
}

TEST(Attend, WindowsThatHoldPaddingAlone) {
    for (const std::int64_t length : {192, 385})
        for (const std::int64_t window : {3, 194})
            for (const bool causal : {false, true})
                expectPlain({.queries = length, .keys = length, .causal = causal, .window = window, .padded = true});
}

TEST(Attend, SlopesAndBiasesAtTheEdgesOfBlocks) {
    for (const std::int64_t length : {175, 177, 192, 193, 385})
        for (const bool causal : {false, true})
            for (const bool slopes : {false, true})
                expectPlain({.queries = length,
                             .keys = length,
                             .causal = causal,
                             .slopes = slopes,
                             .bias = !slopes,
                             .padded = true});
}

TEST(Attend, AllOptionsTogether) {
    for (const std::int64_t window : {7, 200})
        for (const bool causal : {false, true})
            expectPlain({.queries = 385,
                         .keys = 385,
                         .causal = causal,
                         .window = window,
                         .slopes = true,
                         .bias = true,
                         .padded = true});
}

TEST(Attend, OtherNumbersOfKeysThanQueries) {
    for (const auto& [queries, keys] : {std::pair<std::int64_t, std::int64_t>{1, 385}, {193, 1}, {385, 37}, {191, 384}})
        for (const bool padded : {false, true})
            for (const bool slopes : {false, true})
                expectPlain({.queries = queries, .keys = keys, .slopes = slopes, .bias = slopes, .padded = padded});
}

// A block of queries that lies wholly behind the last key's window sees nothing.
TEST(Attend, BandsOverOtherNumbersOfKeys) {
    for (const auto& [queries, keys] : {std::pair<std::int64_t, std::int64_t>{600, 256}, {600, 100}, {100, 600}})
        for (const bool causal : {false, true})
            for (const std::int64_t window : {0, 9})
                expectPlain({.queries = queries, .keys = keys, .causal = causal, .window = window, .batch = 1});
}

TEST(Attend, AWindowOfOneIsOneself) {
    const Setting s{.queries = 200, .keys = 200, .window = 1};
    Numbers values;
    const Result result = run(s, false, [&](const auto& q, const auto& k, const auto& v, const auto& options) {
        values = numbersOf(v.value());
        return attend(q, k, v, options);
    });
    EXPECT_LT(relativeError(result.o, values), 1e-15);
}

// Whoever is free takes the next block, and a head's keys are shared out where there are few heads.
TEST(Attend, ResultsDoNotDependOnThreads) {
    const int threads = threadCount();
    for (const bool causal : {false, true}) {
        const Setting s{.queries = 600, .keys = 600, .causal = causal, .slopes = true, .bias = true, .batch = 1};
        setThreadCount(1);
        const Result one = run(s, false, attend);
        for (const int count : {2, 3, 7}) {
            setThreadCount(count);
            const Result several = run(s, false, attend);
            EXPECT_EQ(several.o, one.o);
            EXPECT_EQ(several.dq, one.dq);
            EXPECT_EQ(several.dk, one.dk);
            EXPECT_EQ(several.dv, one.dv);
            EXPECT_EQ(several.dBias, one.dBias);
        }
    }
    setThreadCount(threads);
}

TEST(WholeMap, IsExactAttention) {
    Random random(3, "whole map");
    Arena arena;
    Tape tape(arena, false);
    const Shape shape{2, 37, 3, 8};
    const auto drawn = [&] {
        const Tensor x = arena.tensor(shape);
        for (float& value : x.span<float>()) value = static_cast<float>(2 * random.normal());
        return tape.constant(x);
    };
    const Variable q = drawn(), k = drawn(), v = drawn();
    const Variable o = wholeMapAttention(q, k, v), wanted = attend(q, k, v, {});
    ASSERT_EQ(o.shape(), shape);
    for (std::size_t i = 0; i < o.value().span<float>().size(); ++i)
        ASSERT_NEAR(o.value().span<float>()[i], wanted.value().span<float>()[i], 1e-5);
}

TEST(WholeMap, HasNoGradient) {
    Arena arena;
    Tape tape(arena);
    const Variable x = tape.constant(arena.zeros({1, 2, 1, 4}));
    EXPECT_THROW(wholeMapAttention(x, x, x), Error);
}

}  // namespace
}  // namespace linscope

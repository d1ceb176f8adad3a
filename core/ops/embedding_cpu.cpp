#include "core/ops/embedding.h"

#include <algorithm>

#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/parallel.h"

namespace linscope {

Variable embed(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t length, const Variable& table,
               const Variable& positions) {
    const std::int64_t vocabulary = table.shape()[0], width = table.shape()[1];
    require(static_cast<std::int64_t>(tokens.size()) == batch * length, "embed", "{} tokens, but got {}",
            batch * length, tokens.size());
    require(!positions || (positions.shape()[0] >= length && positions.shape()[1] == width), "embed",
            "positions of at least [{}, {}], but got {}", length, width, positions ? positions.shape().text() : "");
    if (table.value().onDevice()) return cuda::embed(tokens, batch, length, table, positions);
    for (std::int32_t token : tokens)
        require(token >= 0 && token < vocabulary, "embed", "tokens below {}, but got {}", vocabulary, token);
    Tape& tape = table.tape();
    const Variable y = positions ? tape.result({batch, length, width}, table.type(), table, positions)
                                 : tape.result({batch, length, width}, table.type(), table);
    dispatchReal(table.type(), [&](auto zero) {
        using T = decltype(zero);
        parallelFor(batch * length, 64, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i) {
                const T* word = table.value().as<T>() + tokens[i] * width;
                T* out = y.value().as<T>() + i * width;
                std::copy_n(word, width, out);
                if (!positions) continue;
                const T* place = positions.value().as<T>() + i % length * width;
                for (std::int64_t j = 0; j < width; ++j) out[j] += place[j];
            }
        });
    });
    tape.record(y, [=] {
        dispatchReal(table.type(), [&](auto zero) {
            using T = decltype(zero);
            const auto spread = [&](const Variable& to, auto rowOf) {
                if (!to || !to.needsGradient()) return;
                const Variable::Sink sink = to.gradientSink();
                if (!sink.accumulate) std::ranges::fill(sink.tensor.span<T>(), T(0));
                // Columns in parallel: rows of the table repeat, so that threads would meet there.
                parallelFor(width, 16, [&](std::int64_t first, std::int64_t last) {
                    for (std::int64_t i = 0; i < batch * length; ++i) {
                        const T* gradient = y.gradient().as<T>() + i * width;
                        T* row = sink.tensor.as<T>() + rowOf(i) * width;
                        for (std::int64_t j = first; j < last; ++j) row[j] += gradient[j];
                    }
                });
            };
            spread(table, [&](std::int64_t i) { return static_cast<std::int64_t>(tokens[i]); });
            spread(positions, [&](std::int64_t i) { return i % length; });
        });
    });
    return y;
}

Variable meanTokens(const Variable& x, std::span<const float> keep) {
    if (x.value().onDevice()) return cuda::meanTokens(x, keep);
    const Shape& s = x.shape();
    const std::int64_t batch = s[0], length = s[1], width = s[2];
    Tape& tape = x.tape();
    const Tensor weights = tape.arena().tensor({batch, length}, x.type());
    const Variable y = tape.result({batch, width}, x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t b = 0; b < batch; ++b) {
            const auto kept = [&](std::int64_t t) {
                return keep.empty() || keep[static_cast<std::size_t>(b * length + t)] != 0.0f;
            };
            std::int64_t count = 0;
            for (std::int64_t t = 0; t < length; ++t) count += kept(t);
            T* out = y.value().as<T>() + b * width;
            std::fill_n(out, width, T(0));
            for (std::int64_t t = 0; t < length; ++t) {
                T& weight = weights.as<T>()[b * length + t];
                weight = kept(t) ? T(1) / T(count) : T(0);
                if (weight == T(0)) continue;
                for (std::int64_t j = 0; j < width; ++j)
                    out[j] += weight * x.value().as<T>()[(b * length + t) * width + j];
            }
        }
    });
    tape.record(y, [=] {
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            const auto sink = x.gradientSink();
            for (std::int64_t i = 0; i < batch * length; ++i)
                for (std::int64_t j = 0; j < width; ++j) {
                    const T dx = weights.as<T>()[i] * y.gradient().as<T>()[i / length * width + j];
                    T& out = sink.tensor.as<T>()[i * width + j];
                    out = sink.accumulate ? out + dx : dx;
                }
        });
    });
    return y;
}

Variable selectRows(const Variable& x, std::span<const std::int64_t> rows) {
    if (x.value().onDevice()) return cuda::selectRows(x, rows);
    const std::int64_t width = x.shape()[-1], available = x.value().elements() / width;
    for (std::int64_t row : rows)
        require(row >= 0 && row < available, "selectRows", "rows below {}, but got {}", available, row);
    const auto count = static_cast<std::int64_t>(rows.size());
    Tape& tape = x.tape();
    const Variable y = tape.result({count, width}, x.type(), x);
    dispatchReal(x.type(), [&](auto zero) {
        using T = decltype(zero);
        for (std::int64_t i = 0; i < count; ++i)
            std::copy_n(x.value().as<T>() + rows[i] * width, width, y.value().as<T>() + i * width);
    });
    tape.record(y, [=] {
        dispatchReal(x.type(), [&](auto zero) {
            using T = decltype(zero);
            const auto sink = x.gradientSink();
            if (!sink.accumulate) std::ranges::fill(sink.tensor.span<T>(), T(0));
            const T* gradient = y.gradient().as<T>();
            for (std::int64_t i = 0; i < count; ++i)
                for (std::int64_t j = 0; j < width; ++j)
                    sink.tensor.as<T>()[rows[i] * width + j] += gradient[i * width + j];
        });
    });
    return y;
}

}  // namespace linscope

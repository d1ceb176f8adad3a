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
    require(positions.shape()[0] >= length && positions.shape()[1] == width, "embed",
            "positions of at least [{}, {}], but got {}", length, width, positions.shape().text());
    for (std::int32_t token : tokens)
        require(token >= 0 && token < vocabulary, "embed", "tokens below {}, but got {}", vocabulary, token);
    Tape& tape = table.tape();
    const Variable y = tape.result({batch, length, width}, table.type(), table, positions);
    dispatchReal(table.type(), [&](auto zero) {
        using T = decltype(zero);
        parallelFor(batch * length, 64, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; ++i) {
                const T* word = table.value().as<T>() + tokens[i] * width;
                const T* place = positions.value().as<T>() + i % length * width;
                T* out = y.value().as<T>() + i * width;
                for (std::int64_t j = 0; j < width; ++j) out[j] = word[j] + place[j];
            }
        });
    });
    tape.record(y, [=] {
        dispatchReal(table.type(), [&](auto zero) {
            using T = decltype(zero);
            const Variable::Sink dTable = table.gradientSink(), dPositions = positions.gradientSink();
            for (const Variable::Sink& sink : {dTable, dPositions})
                if (!sink.accumulate) std::ranges::fill(sink.tensor.span<T>(), T(0));
            // Columns in parallel: rows of the table repeat, so that threads would meet there.
            parallelFor(width, 16, [&](std::int64_t first, std::int64_t last) {
                for (std::int64_t i = 0; i < batch * length; ++i) {
                    const T* gradient = y.gradient().as<T>() + i * width;
                    T* word = dTable.tensor.as<T>() + tokens[i] * width;
                    T* place = dPositions.tensor.as<T>() + i % length * width;
                    for (std::int64_t j = first; j < last; ++j) {
                        word[j] += gradient[j];
                        place[j] += gradient[j];
                    }
                }
            });
        });
    });
    return y;
}

Variable selectRows(const Variable& x, std::span<const std::int64_t> rows) {
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

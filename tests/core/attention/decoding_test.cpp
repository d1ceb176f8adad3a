#include "core/attention/decoding.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <functional>

#include "core/attention/mechanism.h"
#include "core/attention/proof_case.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"

namespace linscope {
namespace {

// As the proofs of decoding have it, with its reason.
constexpr double kBound = 1e-5;
constexpr std::int64_t kTokens = 150, kHeads = 2, kWidth = 8;

/// One mechanism and the tokens it is given.
struct Reader {
    Reader(const MechanismInfo& info, const OptionValues& options, const AttentionSizes& sizes)
        : mechanism(info.create(options, sizes, store)), inputs(proofs::randomInputs({&info, sizes, 1, options})) {}

    /// o of the tokens [begin, end) read together, or one by one.
    std::vector<float> take(DecodingState& state, std::int64_t begin, std::int64_t end, bool together) const {
        std::vector<float> outputs;
        const std::int64_t count = together ? end - begin : 1;
        for (; begin < end; begin += count) {
            Arena arena(true);
            Tape tape(arena, false);
            const auto part = [&](const proofs::Numbers& all) {
                const Tensor tensor = arena.tensor({1, count, kHeads, kWidth});
                for (std::int64_t i = 0; i < tensor.elements(); ++i)
                    tensor.as<float>()[i] =
                        static_cast<float>(all[static_cast<std::size_t>(begin * kHeads * kWidth + i)]);
                return tape.constant(tensor);
            };
            const Variable q = part(inputs.q), k = part(inputs.k), v = part(inputs.v);
            Variable o = tape.result(q.shape(), q.type(), q);
            if (together)
                o = state.read(q, k, v);
            else
                state.step(q.value().span<float>(), k.value().span<float>(), v.value().span<float>(),
                           o.value().span<float>());
            const auto numbers = o.value().span<float>();
            outputs.insert(outputs.end(), numbers.begin(), numbers.end());
        }
        return outputs;
    }

    ParameterStore store{3};
    std::unique_ptr<Mechanism> mechanism;
    proofs::Inputs inputs;
};

/// Every causal mechanism with its variants and the positions that it has a form for.
void forEachReader(const std::function<void(const Reader&)>& function) {
    for (const MechanismInfo& info : mechanisms())
        for (const Position position : {Position::None, Position::Alibi, Position::RelativeBias}) {
            if (!info.traits.causal) continue;
            if (position != Position::None && positionFit(info, position, true).fit == Fit::Refused) continue;
            const AttentionSizes sizes{
                .heads = kHeads, .headWidth = kWidth, .length = kTokens, .causal = true, .position = position};
            for (const OptionValues& options : info.variants(sizes)) {
                const proofs::Case named{&info, sizes, 1, options};
                SCOPED_TRACE(named.text());
                const Reader reader(info, options, sizes);
                function(reader);
            }
        }
}

proofs::Numbers doubles(const std::vector<float>& numbers) {
    return {numbers.begin(), numbers.end()};
}

double error(const std::vector<float>& found, const std::vector<float>& expected) {
    return proofs::relativeError(doubles(found), doubles(expected));
}

TEST(Reading, LeavesTheStateThatStepsLeave) {
    forEachReader([](const Reader& reader) {
        const auto read = reader.mechanism->startDecoding(0), stepped = reader.mechanism->startDecoding(0);
        std::int64_t at = 0;
        for (const std::int64_t end : {1, 3, 70, 74, 140}) {
            EXPECT_LE(error(reader.take(*read, at, end, true), reader.take(*stepped, at, end, false)), kBound);
            EXPECT_EQ(read->save().size(), stepped->save().size());
            EXPECT_LE(error(read->save(), stepped->save()), kBound) << "after " << end;
            at = end;
        }
        EXPECT_LE(error(reader.take(*read, at, kTokens, false), reader.take(*stepped, at, kTokens, false)), kBound);
    });
}

TEST(Reading, GoesOnBitForBitFromASavedState) {
    forEachReader([](const Reader& reader) {
        for (const std::int64_t first : {1, 40, 67}) {
            const auto state = reader.mechanism->startDecoding(0), loaded = reader.mechanism->startDecoding(0);
            reader.take(*state, 0, first, true);
            loaded->load(state->save());
            EXPECT_EQ(reader.take(*loaded, first, 140, true), reader.take(*state, first, 140, true));
            EXPECT_EQ(reader.take(*loaded, 140, kTokens, false), reader.take(*state, 140, kTokens, false));
            EXPECT_EQ(loaded->save(), state->save());
        }
    });
}

TEST(Reading, IsOfOneSequenceThatNothingIsRecordedOf) {
    for (const char* name : {"linear", "retention", "gated_delta"}) {
        const MechanismInfo& info = findMechanism(name);
        ParameterStore store(1);
        const auto mechanism = info.create(checkedValues(info.options, {}, name),
                                           {.heads = kHeads, .headWidth = kWidth, .length = 4, .causal = true}, store);
        const auto state = mechanism->startDecoding(0);
        Arena arena;
        const auto tokens = [&](Tape& tape, std::int64_t batch) {
            return tape.constant(arena.zeros({batch, 4, kHeads, kWidth}));
        };
        Tape plain(arena, false), recording(arena);
        const Variable two = tokens(plain, 2), recorded = tokens(recording, 1), one = tokens(plain, 1);
        EXPECT_THROW(state->read(two, two, two), Error) << name;
        EXPECT_THROW(state->read(recorded, recorded, recorded), Error) << name;
        EXPECT_NO_THROW(state->read(one, one, one)) << name;
    }
}

}  // namespace
}  // namespace linscope

#include "core/data/synthetic_task.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/fnv.h"

namespace linscope {
namespace {

constexpr std::uint64_t kParts = 8;  // one of them is held out
// Far more than any generator needs that passed its own checks: an end for one that can make one part only.
constexpr int kMostDraws = 1 << 20;
constexpr double kLeastVariety = 1024;

}  // namespace

void Sample::clear() {
    tokens.clear();
    places.clear();
    targets.clear();
    identity.clear();
}

bool isHeldOut(std::span<const std::int32_t> identity) {
    Fnv1a tokens;
    for (const std::int32_t token : identity) tokens.add(std::uint64_t{static_cast<std::uint32_t>(token)});
    std::uint64_t hash = tokens.value();
    // splitmix64's finish, since the low bits are weak.
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
    return (hash ^ (hash >> 31)) % kParts == 0;
}

SyntheticTask::SyntheticTask(const SyntheticShape& shape, std::uint64_t seed)
    : m_shape(shape), m_seed(seed), m_random(seed, fmt::format("{}.training", shape.name)) {}

void SyntheticTask::drawFor(bool heldOut, Random& random, Sample& sample) const {
    for (int i = 0; i < kMostDraws; ++i) {
        sample.clear();
        draw(random, sample);
        if (isHeldOut(sample.identity) == heldOut) return;
    }
    fail(m_shape.name,
         "a sequence of the {} part was expected in {} draws, but there was none; give options that allow "
         "more different sequences",
         heldOut ? "held-out" : "training", kMostDraws);
}

void SyntheticTask::fill(bool heldOut, Random& random, Batch& out) const {
    const std::int64_t length = m_shape.length;
    const auto all = static_cast<std::size_t>(m_shape.batch * length);
    out.batch = m_shape.batch;
    out.length = length;
    out.tokens.assign(all, 0);
    out.selected.clear();
    out.targets.clear();
    out.keep.assign(m_shape.padded ? all : 0, 0.0F);
    Sample sample;
    for (std::int64_t b = 0; b < out.batch; ++b) {
        drawFor(heldOut, random, sample);
        std::ranges::copy(sample.tokens, out.tokens.begin() + b * length);
        if (m_shape.padded) std::fill_n(out.keep.begin() + b * length, sample.tokens.size(), 1.0F);
        for (const std::int64_t place : sample.places) out.selected.push_back(b * length + place);
        out.targets.insert(out.targets.end(), sample.targets.begin(), sample.targets.end());
    }
}

void SyntheticTask::nextBatch(Batch& out) {
    fill(false, m_random, out);
}

void SyntheticTask::validationBatch(std::int64_t index, Batch& out) const {
    require(index >= 0, m_shape.name, "the number of a validation batch must be 0 or more, but is {}", index);
    Random random(m_seed, fmt::format("{}.validation.{}", m_shape.name, index));
    fill(true, random, out);
}

void SyntheticTask::checkToken(std::int32_t token) const {
    require(token >= 0 && token < vocabulary(), m_shape.name, "a token from 0 to {} was expected, but found {}",
            vocabulary() - 1, token);
}

std::string symbolText(std::int64_t symbol) {
    if (symbol < 26) return std::string(1, static_cast<char>('a' + symbol));
    if (symbol < 52) return std::string(1, static_cast<char>('A' + symbol - 26));
    return fmt::format("s{}", symbol);
}

void requireVariety(double sequences, std::string_view task, std::string_view what) {
    require(sequences >= kLeastVariety, task,
            "{} must allow {:.0f} different sequences or more, so that some can be held out, but there are {:.0f}",
            what, kLeastVariety, sequences);
}

}  // namespace linscope

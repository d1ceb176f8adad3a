#include "core/data/mqar/mqar.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/error.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "mqar";

/// `count` different numbers from [first, end), in the order of drawing: the first steps of Fisher and Yates' shuffle.
void drawDistinct(Random& random, std::int64_t first, std::int64_t end, std::int64_t count,
                  std::vector<std::int32_t>& drawn) {
    drawn.resize(static_cast<std::size_t>(end - first));
    std::iota(drawn.begin(), drawn.end(), static_cast<std::int32_t>(first));
    for (std::int64_t i = 0; i < count; ++i)
        std::swap(drawn[static_cast<std::size_t>(i)],
                  drawn[static_cast<std::size_t>(i + random.below(end - first - i))]);
    drawn.resize(static_cast<std::size_t>(count));
}

/// Ordered choices of `count` from `from`, as a real number: it is only compared with a small one.
double arrangements(std::int64_t from, std::int64_t count) {
    double product = 1;
    for (std::int64_t i = 0; i < count && product < 1e9; ++i) product *= static_cast<double>(from - i);
    return product;
}

}  // namespace

void MqarOptions::visit(OptionVisitor& visitor) {
    visitor.integer({"length", "tokens", "T; even, and at least 4 times the pairs."}, length, {4, 1 << 20});
    visitor.integer({"batch", "sequences", "B, sequences in a batch."}, batch, {1, 65536});
    visitor.integer({"vocabulary", "tokens", "V: keys are its lower half, values its upper half."}, vocabulary,
                    {4, 1 << 20});
    visitor.integer({"pairs", "pairs", "N, keys with a value in a sequence; each is asked for once."}, pairs,
                    {1, 1 << 18});
    visitor.real({"power", "", "a of the weights i^(a-1) of the query slots; 1 makes all places alike."}, power,
                 {0, 10});
    visitor.flag({"random_non_queries", "", "Fill the places between queries with random tokens instead of zeros."},
                 randomNonQueries);
}

Mqar::Mqar(const MqarOptions& options, std::uint64_t seed)
    : SyntheticTask({kWhere, options.length, options.batch}, seed), m_options(options) {
    require(options.length % 2 == 0, kWhere, "task.length must be even, since keys and values alternate, but is {}",
            options.length);
    require(4 * options.pairs <= options.length, kWhere,
            "task.length must be at least 4 times task.pairs = {}, two tokens for a pair and two for its query, but is "
            "{}; give at least {}, or at most {} pairs",
            options.pairs, options.length, 4 * options.pairs, options.length / 4);
    const std::int64_t keys = options.vocabulary / 2 - 1;
    require(options.pairs <= keys, kWhere,
            "task.vocabulary must give as many keys as task.pairs = {}, but {} gives {}; give at least {}",
            options.pairs, options.vocabulary, keys, 2 * options.pairs + 2);
    const std::int64_t values = options.vocabulary - options.vocabulary / 2;
    requireVariety(arrangements(keys, options.pairs) * arrangements(values, options.pairs), kWhere,
                   fmt::format("task.vocabulary = {} with task.pairs = {}", options.vocabulary, options.pairs));
    m_weights.resize(static_cast<std::size_t>(slots()));
    for (std::size_t i = 0; i < m_weights.size(); ++i)
        m_weights[i] = std::pow(static_cast<double>(i + 1), options.power - 1);
}

void Mqar::drawSlots(Random& random, std::vector<std::int64_t>& chosen) const {
    // Exponential clocks with the weights as rates: the order in which they ring is the order of weighted drawing
    // without replacement (Efraimidis & Spirakis 2006), at one random number a slot whatever the weights.
    const auto count = static_cast<std::size_t>(m_options.pairs);
    std::vector<std::pair<double, std::int64_t>> rings(m_weights.size());
    for (std::size_t i = 0; i < rings.size(); ++i)
        rings[i] = {-std::log(1.0 - random.uniform()) / m_weights[i], static_cast<std::int64_t>(i)};
    std::partial_sort(rings.begin(), rings.begin() + m_options.pairs, rings.end());
    chosen.resize(count);
    for (std::size_t i = 0; i < count; ++i) chosen[i] = rings[i].second;
}

void Mqar::draw(Random& random, Sample& sample) const {
    const std::int64_t V = m_options.vocabulary, N = m_options.pairs;
    std::vector<std::int32_t> keys, values;
    drawDistinct(random, 1, V / 2, N, keys);
    drawDistinct(random, V / 2, V, N, values);
    std::vector<std::int64_t> chosen;
    drawSlots(random, chosen);

    sample.tokens.assign(static_cast<std::size_t>(m_options.length), 0);
    std::vector<std::pair<std::int64_t, std::int32_t>> asked;  // place, value
    for (std::size_t i = 0; i < keys.size(); ++i) {
        sample.tokens[2 * i] = keys[i];
        sample.tokens[2 * i + 1] = values[i];
        const std::int64_t place = 2 * N + 2 * chosen[i];
        sample.tokens[static_cast<std::size_t>(place)] = keys[i];
        asked.emplace_back(place, values[i]);
    }
    sample.identity.assign(sample.tokens.begin(), sample.tokens.begin() + 2 * N);
    std::ranges::sort(asked);
    for (const auto& [place, value] : asked) {
        sample.places.push_back(place);
        sample.targets.push_back(value);
    }
    if (!m_options.randomNonQueries) return;
    for (std::int32_t& token : sample.tokens)
        if (token == 0) token = static_cast<std::int32_t>(random.below(V));
}

double Mqar::placeOnlyAccuracy() const {
    // The likeliest pair of each slot from one half of the draws, its hits from the other half: choosing and counting
    // on the same draws would flatter it.
    constexpr std::int64_t kMostWork = 1 << 22;
    const std::int64_t draws = std::clamp<std::int64_t>(kMostWork / slots(), 256, 1 << 15);
    const auto pairs = static_cast<std::size_t>(m_options.pairs);
    std::vector<std::int32_t> counts(static_cast<std::size_t>(slots()) * pairs);
    std::vector<std::size_t> likeliest(static_cast<std::size_t>(slots()));
    std::vector<std::int64_t> chosen;
    Random random(0, "mqar.baseline");
    const auto count = [&](std::size_t slot, std::size_t pair) -> std::int32_t& { return counts[slot * pairs + pair]; };
    for (std::int64_t i = 0; i < draws / 2; ++i) {
        drawSlots(random, chosen);
        for (std::size_t pair = 0; pair < pairs; ++pair) ++count(static_cast<std::size_t>(chosen[pair]), pair);
    }
    for (std::size_t slot = 0; slot < likeliest.size(); ++slot) {
        const auto first = counts.begin() + static_cast<std::ptrdiff_t>(slot * pairs);
        likeliest[slot] = static_cast<std::size_t>(std::max_element(first, first + m_options.pairs) - first);
    }
    std::int64_t hits = 0;
    for (std::int64_t i = 0; i < draws / 2; ++i) {
        drawSlots(random, chosen);
        for (std::size_t pair = 0; pair < pairs; ++pair)
            hits += likeliest[static_cast<std::size_t>(chosen[pair])] == pair;
    }
    return static_cast<double>(hits) / static_cast<double>(draws / 2 * m_options.pairs);
}

std::vector<TaskBaseline> Mqar::baselines() const {
    const double values = static_cast<double>(m_options.vocabulary - m_options.vocabulary / 2);
    const double pairs = static_cast<double>(m_options.pairs);
    return {{"validation_accuracy", "any value of the vocabulary", 1 / values},
            {"validation_accuracy", "any value of the sequence", 1 / pairs},
            {"validation_accuracy", "the pair most often asked for at the place", placeOnlyAccuracy()},
            {"validation_loss", "any value of the vocabulary", std::log(values)},
            {"validation_loss", "any value of the sequence", std::log(pairs)}};
}

std::string Mqar::tokenText(std::int32_t token) const {
    checkToken(token);
    if (token == 0) return "·";
    const std::int64_t half = m_options.vocabulary / 2;
    return token < half ? fmt::format("k{}", token) : fmt::format("v{}", token - half);
}

std::string Mqar::description() const {
    return fmt::format("multi-query associative recall: {} pairs in {} tokens, {} keys and {} values, power {:.4g}, {}",
                       m_options.pairs, m_options.length, m_options.vocabulary / 2 - 1,
                       m_options.vocabulary - m_options.vocabulary / 2, m_options.power,
                       m_options.randomNonQueries ? "random tokens between queries" : "zeros between queries");
}

TaskInfo mqarTask() {
    return {
        .name = "mqar",
        .title = "Multi-query associative recall",
        .summary = "Recalls the value that stood behind a key, for several keys of a sequence.",
        .options = specsOf<MqarOptions>(),
        .create = [](const OptionValues& options, std::uint64_t seed) -> std::unique_ptr<Task> {
            return std::make_unique<Mqar>(optionsFrom<MqarOptions>(options, kWhere), seed);
        },
    };
}

}  // namespace linscope

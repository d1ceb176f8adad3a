#include "tests/app/canvas/synthetic_snapshot.h"

#include <cmath>
#include <random>
#include <string_view>

namespace linscope::test {

namespace {

constexpr std::string_view kText =
    "In the beginning God created the heaven and the earth. And the earth was without form, and void; and darkness "
    "was upon the face of the deep. And the Spirit of God moved upon the face of the waters. And God said, Let there "
    "be light: and there was light. And God saw the light, that it was good: and God divided the light from the "
    "darkness. And God called the light Day, and the darkness he called Night. And the evening and the morning were "
    "the first day. And God said, Let there be a firmament in the midst of the waters, and let it divide the waters "
    "from the waters. And God made the firmament, and divided the waters which were under the firmament from the "
    "waters which were above the firmament: and it was so. And God called the firmament Heaven. ";

/// Positions as angles of several wavelengths: their products are large for near positions.
void addPosition(float* row, std::int64_t width, double position, double weight) {
    for (std::int64_t pair = 0; pair * 2 + 1 < width; ++pair) {
        const double angle = position * std::pow(0.55, static_cast<double>(pair));
        row[pair * 2] += static_cast<float>(weight * std::cos(angle));
        row[pair * 2 + 1] += static_cast<float>(weight * std::sin(angle));
    }
}

Projection gather(const char* name, int layer, const SyntheticOptions& options, std::mt19937& random) {
    Projection projection{
        .name = name, .layer = layer, .head = -1, .slots = options.slots, .length = options.length, .values = {}};
    std::normal_distribution<float> noise(0.0F, 0.02F);
    const double width = 0.7 * static_cast<double>(options.length) / static_cast<double>(options.slots);
    for (std::int64_t slot = 0; slot < options.slots; ++slot) {
        const double centre = (static_cast<double>(slot) + 0.5) * static_cast<double>(options.length) /
                              static_cast<double>(options.slots);
        for (std::int64_t token = 0; token < options.length; ++token) {
            const double away = (static_cast<double>(token) - centre) / width;
            projection.values.push_back(static_cast<float>(0.4 / width * std::exp(-0.5 * away * away)) + noise(random));
        }
    }
    return projection;
}

}  // namespace

std::shared_ptr<const Snapshot> syntheticSnapshot(const SyntheticOptions& options) {
    std::mt19937 random(7);
    std::normal_distribution<float> noise(0.0F, 1.0F);
    Snapshot snapshot;
    snapshot.step = options.step;
    snapshot.lane = options.lane;
    snapshot.mechanism = options.slots > 0 ? "linformer" : "full";
    snapshot.samples = 2;
    snapshot.heads = options.heads;
    snapshot.length = options.length;
    snapshot.headWidth = options.headWidth;
    for (std::int64_t sample = 0; sample < snapshot.samples; ++sample)
        for (std::int64_t token = 0; token < options.length; ++token)
            snapshot.tokens.push_back(
                static_cast<unsigned char>(kText[static_cast<std::size_t>(token + sample * 37) % kText.size()]));

    std::vector<float> letters(256 * static_cast<std::size_t>(options.headWidth));
    for (float& value : letters) value = noise(random);
    const auto width = options.headWidth;
    for (int layer = 0; layer < options.layers; ++layer) {
        LayerSnapshot made;
        for (std::int64_t sample = 0; sample < snapshot.samples; ++sample)
            for (std::int64_t head = 0; head < options.heads; ++head)
                for (std::int64_t token = 0; token < options.length; ++token) {
                    std::vector<float> q(static_cast<std::size_t>(width)), k(q.size()), v(q.size());
                    const double sharp = 1.1 + 0.45 * static_cast<double>(head) + 0.3 * layer;
                    const double behind = head == 1 ? 6.0 : 0.0;
                    addPosition(q.data(), width, static_cast<double>(token) - behind, sharp);
                    addPosition(k.data(), width, static_cast<double>(token), sharp);
                    const auto letter = static_cast<std::size_t>(
                        snapshot.tokens[static_cast<std::size_t>(sample * options.length + token)]);
                    const float equal = head == 2 ? 0.8F : 0.3F;
                    for (std::size_t at = 0; at < q.size(); ++at) {
                        const float own = letters[letter * static_cast<std::size_t>(width) + at];
                        q[at] += equal * own + 0.15F * noise(random);
                        k[at] += equal * own + 0.15F * noise(random);
                        v[at] = own + 0.5F * noise(random);
                    }
                    made.q.insert(made.q.end(), q.begin(), q.end());
                    made.k.insert(made.k.end(), k.begin(), k.end());
                    made.v.insert(made.v.end(), v.begin(), v.end());
                }
        snapshot.layers.push_back(std::move(made));
        if (options.slots > 0) {
            snapshot.projections.push_back(gather("E", layer, options, random));
            if (options.separateF) snapshot.projections.push_back(gather("F", layer, options, random));
        }
    }
    return std::make_shared<const Snapshot>(std::move(snapshot));
}

}  // namespace linscope::test

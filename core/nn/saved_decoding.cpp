#include <fmt/format.h>

#include <charconv>
#include <map>

#include "core/base/error.h"
#include "core/base/fnv.h"
#include "core/io/checkpoint.h"
#include "core/nn/token_decoder.h"

namespace linscope {
namespace {

constexpr std::string_view kWhere = "state";
constexpr std::string_view kFormat = "linscope decoding state 1";

template <typename T>
T parse(const std::map<std::string, std::string>& metadata, const std::string& key, const std::filesystem::path& path) {
    const auto found = metadata.find(key);
    require(found != metadata.end(), kWhere, "\"{}\" was expected in {}, but it is missing", key, path.string());
    T value{};
    const char *begin = found->second.data(), *end = begin + found->second.size();
    const auto parsed = std::from_chars(begin, end, value);
    require(parsed.ec == std::errc{} && parsed.ptr == end, kWhere, "\"{}\" in {} must be a number, but is \"{}\"", key,
            path.string(), found->second);
    return value;
}

Tensor tensorOf(std::vector<float>& numbers) {
    return Tensor(numbers.data(), {static_cast<std::int64_t>(numbers.size())}, DType::F32);
}

std::vector<float> numbersOf(const Tensor& tensor) {
    const auto numbers = tensor.span<float>();
    return {numbers.begin(), numbers.end()};
}

std::string layerName(std::size_t layer) {
    return fmt::format("layer.{}", layer);
}

}  // namespace

void writeDecoding(const std::filesystem::path& path, const SavedDecoding& saved) {
    TokenDecoder::State state = saved.state;  // tensors are views of memory that could be written
    std::map<std::string, std::string> metadata{{"format", std::string(kFormat)},
                                                {"model", saved.model},
                                                {"place", fmt::format("{}", state.place)},
                                                {"layers", fmt::format("{}", state.layers.size())}};
    for (std::size_t i = 0; i < saved.random.size(); ++i)
        metadata[fmt::format("random.{}", i)] = fmt::format("{}", saved.random[i]);
    std::vector<NamedTensor> tensors;
    for (std::size_t layer = 0; layer < state.layers.size(); ++layer)
        tensors.push_back({layerName(layer), tensorOf(state.layers[layer])});
    tensors.push_back({"logits", tensorOf(state.logits)});
    writeSafetensors(path, tensors, metadata);
}

SavedDecoding readDecoding(const std::filesystem::path& path, const std::string& model) {
    const SafetensorsFile file(path);
    const auto& metadata = file.metadata();
    const auto format = metadata.find("format");
    require(format != metadata.end() && format->second == kFormat, kWhere,
            "a state that --save-state has written was expected, but {} is {}", path.string(),
            format == metadata.end() ? "none" : fmt::format("\"{}\"", format->second));
    const auto owner = metadata.find("model");
    require(owner != metadata.end() && owner->second == model, kWhere,
            "a state of this model ({}) was expected, but {} belongs to another ({}): another lane, checkpoint or run",
            model, path.string(), owner == metadata.end() ? "unnamed" : owner->second);
    SavedDecoding saved;
    saved.model = model;
    saved.state.place = parse<std::int64_t>(metadata, "place", path);
    const auto layers = parse<std::size_t>(metadata, "layers", path);
    require(layers < 10'000, kWhere, "a number of layers was expected in {}, but it is {}", path.string(), layers);
    for (std::size_t layer = 0; layer < layers; ++layer)
        saved.state.layers.push_back(numbersOf(file.tensor(layerName(layer))));
    saved.state.logits = numbersOf(file.tensor("logits"));
    for (std::size_t i = 0; i < saved.random.size(); ++i)
        saved.random[i] = parse<std::uint64_t>(metadata, fmt::format("random.{}", i), path);
    return saved;
}

std::string modelFingerprint(const ParameterStore& parameters) {
    Fnv1a hash;
    for (const Parameter& parameter : parameters.all()) {
        hash.add(parameter.name + parameter.value.shape().text());
        hash.add({static_cast<const char*>(parameter.value.raw()), static_cast<std::size_t>(parameter.value.bytes())});
    }
    return fmt::format("{:016x}", hash.value());
}

}  // namespace linscope

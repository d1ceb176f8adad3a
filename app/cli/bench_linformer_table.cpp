#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/bench_timing.h"
#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "core/attention/mechanism.h"
#include "core/attention/whole_map.h"
#include "core/autograd/tape.h"
#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/cuda/device.h"
#include "core/nn/device_parameters.h"
#include "core/nn/transformer.h"

// Wang et al. 2020 (arXiv:2006.04768), Table 3: how much time and memory Linformer saves over a transformer in
// inference.

namespace linscope::app {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

/// The baseline of the paper.
class NaiveAttention : public Mechanism {
public:
    using Mechanism::Mechanism;
    bool takesBf16() const override { return true; }

protected:
    Variable forwardImpl(const AttentionInput& input) const override {
        return wholeMapAttention(input.q, input.k, input.v);
    }
    Variable naiveImpl(const AttentionInput& input) const override { return forwardImpl(input); }
};

struct Cost {
    double milliseconds = 0, bytes = 0;
};

/// What one pass costs, or why that is not known.
struct Cell {
    std::optional<Cost> cost;
    std::string note;
};

struct Row {
    std::int64_t length = 0, batch = 0;
    Cell naive, fused;
    std::vector<Cell> linformer;  ///< for each k
};

using Build = std::unique_ptr<Mechanism> (*)(const AttentionSizes& sizes, std::int64_t slots,
                                             ParameterStore& parameters);

std::unique_ptr<Mechanism> naive(const AttentionSizes& sizes, std::int64_t, ParameterStore&) {
    return std::make_unique<NaiveAttention>(sizes);
}
std::unique_ptr<Mechanism> fused(const AttentionSizes& sizes, std::int64_t, ParameterStore& parameters) {
    return findMechanism("full").create({}, sizes, parameters);
}
std::unique_ptr<Mechanism> linformer(const AttentionSizes& sizes, std::int64_t slots, ParameterStore& parameters) {
    const MechanismInfo& info = findMechanism("linformer");
    const OptionValues options =
        checkedValues(info.options, {{"k", std::vector{slots}}, {"sharing", std::string("layerwise")}}, info.name);
    return info.create(options, sizes, parameters);
}

/// One encoder block in inference, with an embedding before it and one logit's row behind.
class Encoder {
public:
    Encoder(Build build, const ModelOptions& model, std::int64_t slots, std::int64_t batch, std::int64_t length,
            DeviceContext* device)
        : m_parameters(1),
          m_batch(batch),
          m_length(length),
          m_precision(precisionOf(model.precision)),
          m_kept(device),
          m_arena(device) {
        const AttentionSizes sizes{.heads = model.heads, .headWidth = model.width / model.heads, .length = length};
        m_mechanism = build(sizes, slots, m_parameters);
        const ModelShape shape{.vocabulary = 256, .outputs = 256, .length = length};
        m_model = std::make_unique<Transformer>(model, shape, *m_mechanism, m_parameters);
        if (device) m_onDevice = std::make_unique<DeviceParameters>(*device, m_parameters);
        m_tokens = m_kept.zeros({batch * length}, DType::I32);
        m_selected = m_kept.zeros({2}, DType::I32);  // one place: the number 0 of 8 bytes
        if (device) device->wait();
    }

    void operator()() {
        m_arena.reset();
        Tape tape(m_arena, false, m_precision);
        m_model->forward(tape, {.batch = m_batch,
                                .length = m_length,
                                .tokens = {static_cast<const std::int32_t*>(m_tokens.raw()),
                                           static_cast<std::size_t>(m_batch * m_length)},
                                .selected = {static_cast<const std::int64_t*>(m_selected.raw()), 1}});
    }
    double peakBytes() const { return static_cast<double>(m_arena.peakBytes()); }

private:
    ParameterStore m_parameters;
    std::int64_t m_batch, m_length;
    Precision m_precision;
    std::unique_ptr<Mechanism> m_mechanism;
    std::unique_ptr<Transformer> m_model;
    std::unique_ptr<DeviceParameters> m_onDevice;
    Arena m_kept, m_arena;
    Tensor m_tokens, m_selected;
};

/// Goes through the table, from short to long.
class Measurement {
public:
    Measurement(const BenchLinformerTableArguments& arguments, DeviceContext* device)
        : m_arguments(arguments), m_device(device) {
        m_model.layers = 1;
        m_model.width = arguments.width;
        m_model.heads = arguments.heads;
        m_model.position = "none";
        m_model.precision = arguments.precision;
    }

    std::vector<Row> rows(ProgressLine& progress) const {
        std::vector<Row> rows;
        for (const std::int64_t length : m_arguments.lengths) {
            const Row* shorter = rows.empty() ? nullptr : &rows.back();
            Row row{.length = length, .batch = std::max<std::int64_t>(1, m_arguments.tokens / length)};
            progress.update(fmt::format("{} tokens: naive attention", length));
            row.naive = quadratic(naive, row, shorter, shorter ? &shorter->naive : nullptr);
            progress.update(fmt::format("{} tokens: fused attention", length));
            row.fused = quadratic(fused, row, shorter, shorter ? &shorter->fused : nullptr);
            for (const std::int64_t slots : m_arguments.slots) {
                progress.update(fmt::format("{} tokens: k = {}", length, slots));
                row.linformer.push_back(slots < length ? cell(linformer, row, slots)
                                                       : Cell{{}, "k is not below the length"});
            }
            rows.push_back(std::move(row));
        }
        return rows;
    }

private:
    Cell cell(Build build, const Row& row, std::int64_t slots) const try {
        Encoder encoder(build, m_model, slots, row.batch, row.length, m_device);
        const double milliseconds = medianMilliseconds([&] { encoder(); }, m_arguments.seconds / 4, m_device);
        return {Cost{milliseconds, encoder.peakBytes()}, {}};
    } catch (const Error& error) {
        return {{}, error.what()};
    }

    /// The same, unless time or the processor's memory would not suffice for it.
    Cell quadratic(Build build, const Row& row, const Row* shorter, const Cell* before) const {
        if (before && !before->cost) return *before;
        if (before) {
            const double factor = static_cast<double>(row.length) / static_cast<double>(shorter->length);
            const double tokens =
                static_cast<double>(row.length * row.batch) / static_cast<double>(shorter->length * shorter->batch);
            if (2 * before->cost->milliseconds * factor * tokens > 1e3 * m_arguments.seconds)
                return {{}, fmt::format("it could take more than {:g} s", m_arguments.seconds)};
        }
        const double maps = 2.0 * sizeof(float) * static_cast<double>(row.batch * m_arguments.heads) *
                            static_cast<double>(row.length * row.length);
        if (build == naive && m_device == nullptr && maps > static_cast<double>(machineMemory()) / 2)
            return {{}, fmt::format("its maps take {:.0f} MiB, more than half of this machine's memory", maps / kMiB)};
        return cell(build, row, 0);
    }

    const BenchLinformerTableArguments& m_arguments;
    DeviceContext* m_device;
    ModelOptions m_model;
};

Json jsonOf(const Cell& cell) {
    if (!cell.cost) return {{"note", cell.note}};
    return {{"ms", cell.cost->milliseconds}, {"mib", cell.cost->bytes / kMiB}};
}

void printJsonTable(const BenchLinformerTableArguments& arguments, const std::vector<Row>& rows,
                    const std::string& device) {
    Json list = Json::array();
    for (const Row& row : rows) {
        Json cells = Json::array();
        for (std::size_t i = 0; i < arguments.slots.size(); ++i) {
            Json cell = jsonOf(row.linformer[i]);
            cell["k"] = arguments.slots[i];
            cells.push_back(std::move(cell));
        }
        list.push_back({{"length", row.length},
                        {"batch", row.batch},
                        {"naive", jsonOf(row.naive)},
                        {"fused", jsonOf(row.fused)},
                        {"linformer", std::move(cells)}});
    }
    printJson({{"bench", "linformer-table"},
               {"width", arguments.width},
               {"heads", arguments.heads},
               {"device", device},
               {"precision", arguments.precision},
               {"rows", std::move(list)}});
}

using Part = double Cost::*;

/// Three digits, and all of those before the point.
std::string number(double x) {
    return x >= 100 ? fmt::format("{:.0f}", x) : fmt::format("{:.3g}", x);
}
std::string text(const Cell& cell, Part part, double unit) {
    return cell.cost ? number((*cell.cost).*part / unit) : "-";
}

void printHead(const std::string& title, const std::vector<std::string>& columns) {
    fmt::print("\n{}\n", title);
    for (const std::string& column : columns) fmt::print("{:>10}", column);
    fmt::print("\n");
}

void printCosts(const std::vector<Row>& rows, std::vector<std::string> columns, const char* unit, Part part,
                double size) {
    columns.insert(columns.begin(), {"tokens", "batch", "naive", "fused"});
    printHead(unit, columns);
    for (const Row& row : rows) {
        fmt::print("{:>10}{:>10}{:>10}{:>10}", row.length, row.batch, text(row.naive, part, size),
                   text(row.fused, part, size));
        for (const Cell& cell : row.linformer) fmt::print("{:>10}", text(cell, part, size));
        fmt::print("\n");
    }
}

void printSaved(const std::vector<Row>& rows, std::vector<std::string> columns, const char* title, Part part,
                Cell Row::*baseline) {
    columns.insert(columns.begin(), "tokens");
    printHead(title, columns);
    for (const Row& row : rows) {
        fmt::print("{:>10}", row.length);
        for (const Cell& cell : row.linformer) {
            const Cell& whole = row.*baseline;
            fmt::print("{:>10}", cell.cost ? text(whole, part, (*cell.cost).*part) : "-");
        }
        fmt::print("\n");
    }
}

void printNotes(const std::vector<Row>& rows, const std::vector<std::int64_t>& slots) {
    const auto print = [](std::int64_t length, const std::string& what, const std::string& note) {
        if (!note.empty()) fmt::print("    {} tokens, {}: {}\n", length, what, note);
    };
    fmt::print("\n");
    for (const Row& row : rows) {
        print(row.length, "naive", row.naive.note);
        print(row.length, "fused", row.fused.note);
        for (std::size_t i = 0; i < slots.size(); ++i)
            if (slots[i] < row.length) print(row.length, fmt::format("k = {}", slots[i]), row.linformer[i].note);
    }
}

void printTables(const BenchLinformerTableArguments& arguments, const std::vector<Row>& rows,
                 const std::string& where) {
    fmt::print(
        "forward pass of one encoder block of width {} with {} heads in {} on {}\nmedian ms, and MiB of activations\n",
        arguments.width, arguments.heads, arguments.precision, where);
    std::vector<std::string> columns;
    for (const std::int64_t slots : arguments.slots) columns.push_back(fmt::format("k = {}", slots));
    printCosts(rows, columns, "ms", &Cost::milliseconds, 1);
    printCosts(rows, columns, "MiB", &Cost::bytes, kMiB);
    printSaved(rows, columns, "time saved over naive attention, times", &Cost::milliseconds, &Row::naive);
    printSaved(rows, columns, "memory saved over naive attention, times", &Cost::bytes, &Row::naive);
    printSaved(rows, columns, "time saved over fused attention, times", &Cost::milliseconds, &Row::fused);
    printSaved(rows, columns, "memory saved over fused attention, times", &Cost::bytes, &Row::fused);
    printNotes(rows, arguments.slots);
}

}  // namespace

int runBenchLinformerTable(const BenchLinformerTableArguments& arguments) {
    require(arguments.width % arguments.heads == 0, "bench", "heads must divide width, but width is {} and heads {}",
            arguments.width, arguments.heads);
    const std::unique_ptr<DeviceContext> device = benchDevice(arguments.device, arguments.precision);
    ProgressLine progress;
    const std::vector<Row> rows = Measurement(arguments, device.get()).rows(progress);
    progress.finish();
    const std::string where = device ? cudaDescription() : "processor";
    if (arguments.json) {
        printJsonTable(arguments, rows, where);
    } else {
        printTables(arguments, rows, where);
    }
    return 0;
}

}  // namespace linscope::app

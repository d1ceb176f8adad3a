#include "core/analysis/device_maps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/parallel.h"
#include "core/cuda/context.h"
#include "core/tensor/arena.h"
#include "tests/core/cuda/cuda_test.h"
#include "tests/support/mechanism_snapshots.h"

namespace linscope {
namespace {

// A map is found twice in single precision. Each of the two forms stays within 1e-5 of the definition (RMS of the error
// over RMS of what is right: kSingleBound of core/attention/proofs.cpp), so that they differ by twice as much at most.
// A difference of maps may cancel altogether, and is measured by the exact map where that is greater.
constexpr double kBound = 2e-5;
// Where two values of opposite sign are as far from 0, rounding decides which of them a pooled cell shows. What it
// shows has to be one of the cell's own values, up to this share of the map's size: a single cell may be off by more
// than the RMS of all, but not by 50 times as much.
constexpr double kNear = 50 * kBound;

constexpr std::int64_t kWhole = 4096;

double rootMeanSquare(const Matrix& m) {
    double sum = 0;
    for (const float x : m.values) sum += static_cast<double>(x) * static_cast<double>(x);
    return std::sqrt(sum / static_cast<double>(m.values.size()));
}

class DeviceMaps : public test::CudaTest {
protected:
    void SetUp() override {
        CudaTest::SetUp();
        if (IsSkipped()) return;
        setThreadCount(1);  // ctest runs programs side by side, whose threads would wait for each other
        m_context = std::make_unique<DeviceContext>();
        m_arena = std::make_unique<Arena>(m_context.get(), true);
    }

    AttentionMap onDevice(const Snapshot& s, const MapRequest& request, std::int64_t numbers = kDeviceMapNumbers) {
        AttentionMap map = deviceMapOutline(s, request);
        map.matrix.values.resize(static_cast<std::size_t>(map.matrix.rows * map.matrix.cols));
        const std::size_t bytes = map.matrix.values.size() * sizeof(float);
        auto* there = static_cast<float*>(m_context->allocate(bytes));
        m_context->fill(there, 0xff, bytes);  // NaN
        m_arena->reset();
        cuda::attentionMap(*m_arena, s, request, there, numbers);
        m_context->toHost(map.matrix.values.data(), there, bytes);
        m_context->wait();
        m_context->release(there);
        return map;
    }

    /// The device's map beside the processor's, whole and pooled, at once and by parts.
    void compares(const Snapshot& s, MapRequest request) {
        request.maxSide = kWhole;
        ASSERT_EQ(deviceMapAbsence(s, request), "") << test::textOf(s);
        const AttentionMap whole = attentionMap(s, request);
        for (const std::int64_t side : {kWhole, std::int64_t{17}}) {
            request.maxSide = side;
            const Matrix wanted = side == kWhole ? whole.matrix : attentionMap(s, request).matrix;
            MapRequest exact = request;
            exact.kind = MapKind::Exact;
            const double size = std::max(rootMeanSquare(wanted), rootMeanSquare(attentionMap(s, exact).matrix));
            for (const std::int64_t numbers : {kDeviceMapNumbers, std::int64_t{700}}) {
                SCOPED_TRACE(fmt::format("{}: {}, at most {} rows, {} numbers at a time", test::textOf(s),
                                         mapName(request.kind), side, numbers));
                const AttentionMap found = onDevice(s, request, numbers);
                ASSERT_EQ(found.matrix.rows, wanted.rows);
                ASSERT_EQ(found.matrix.cols, wanted.cols);
                ASSERT_LE(errorOf(found, wanted, whole.matrix, size), kBound * size);
            }
        }
    }

private:
    /// RMS of what the two differ by.
    static double errorOf(const AttentionMap& found, const Matrix& wanted, const Matrix& whole, double size) {
        double sum = 0;
        for (std::int64_t row = 0; row < wanted.rows; ++row)
            for (std::int64_t col = 0; col < wanted.cols; ++col) {
                double a = found.matrix.at(row, col), b = wanted.at(row, col);
                if (found.pooling == "abs-max" && a * b < 0 && isOneOf(found, whole, row, col, kNear * size)) b = -b;
                sum += (a - b) * (a - b);
            }
        return std::sqrt(sum / static_cast<double>(wanted.values.size()));
    }
    /// Whether a cell of a pooled map shows one of the values that it stands for.
    static bool isOneOf(const AttentionMap& pooled, const Matrix& whole, std::int64_t row, std::int64_t col,
                        double near) {
        for (std::int64_t i = row * pooled.rowBlock; i < std::min((row + 1) * pooled.rowBlock, whole.rows); ++i)
            for (std::int64_t j = col * pooled.colBlock; j < std::min((col + 1) * pooled.colBlock, whole.cols); ++j)
                if (std::abs(static_cast<double>(whole.at(i, j)) - pooled.matrix.at(row, col)) < near) return true;
        return false;
    }

    std::unique_ptr<DeviceContext> m_context;
    std::unique_ptr<Arena> m_arena;
};

class DeviceMapsOf : public DeviceMaps, public testing::WithParamInterface<const MechanismInfo*> {};

// Every map of every mechanism in every form, of the last layer, head and sample, and of the first.
TEST_P(DeviceMapsOf, AreTheProcessorsMaps) {
    const MechanismInfo& info = *GetParam();
    int compared = 0;
    for (const std::int64_t length : {63, 100})
        for (const AttentionSizes& sizes :
             test::formsOf(info, {.layers = 2, .heads = 2, .headWidth = 20, .length = length}))
            for (const OptionValues& options : test::choicesOf(info, sizes)) {
                const Snapshot s = test::disturbedSnapshot(info, options, sizes);
                for (const MapKind kind : {MapKind::Exact, MapKind::Compressed, MapKind::Lifted, MapKind::Difference}) {
                    if (!hasMap(s, kind)) continue;
                    compares(s, {.kind = kind, .layer = 1, .head = 1, .sample = 1});
                    ++compared;
                }
                if (hasMap(s, MapKind::Difference)) compares(s, {.kind = MapKind::Difference});
                if (HasFatalFailure()) return;
            }
    EXPECT_GT(compared, 0);
}

INSTANTIATE_TEST_SUITE_P(Registered, DeviceMapsOf, testing::ValuesIn(test::allMechanisms()),
                         [](const auto& entry) { return std::string(entry.param->name); });

// One token; fewer tokens than a head has columns; a few more than a multiple of them.
TEST_F(DeviceMaps, AreRightAtEveryLength) {
    for (const char* name : {"full", "reformer", "window", "linear"})
        for (const std::int64_t length : {1, 2, 31, 65, 500}) {
            const MechanismInfo& info = findMechanism(name);
            for (const bool causal : {false, true}) {
                const AttentionSizes sizes{
                    .layers = 1, .heads = 2, .headWidth = 32, .length = length, .causal = causal};
                const Snapshot s = test::disturbedSnapshot(info, info.variants(sizes).front(), sizes);
                compares(s, {.kind = MapKind::Exact, .head = 1, .sample = 1});
                if (hasMap(s, MapKind::Difference)) compares(s, {.kind = MapKind::Difference, .head = 1, .sample = 1});
                if (HasFatalFailure()) return;
            }
        }
}

// E and F may be longer than the sequence: those of a model that reads a shorter one.
TEST_F(DeviceMaps, ReadTheFirstColumnsOfLongerProjections) {
    const AttentionSizes sizes{.layers = 2, .heads = 2, .headWidth = 60, .length = 107};
    Snapshot s = test::disturbedSnapshot(findMechanism("linformer"), {{"k", std::vector<std::int64_t>{31}}}, sizes);
    s.length = 100;
    for (LayerSnapshot& layer : s.layers)
        for (auto* values : {&layer.q, &layer.k, &layer.v})
            values->resize(static_cast<std::size_t>(s.samples * s.heads * s.length * s.headWidth));
    for (const MapKind kind : {MapKind::Exact, MapKind::Compressed, MapKind::Lifted, MapKind::Difference})
        compares(s, {.kind = kind, .head = 1, .sample = 1});
}

TEST_F(DeviceMaps, KeepANanVisible) {
    const AttentionSizes sizes{.layers = 1, .heads = 1, .headWidth = 32, .length = 100};
    Snapshot s = test::disturbedSnapshot(findMechanism("window"), {{"window", std::int64_t{9}}}, sizes);
    constexpr std::int64_t kRow = 41;
    s.layers[0].q[static_cast<std::size_t>(kRow * sizes.headWidth)] = std::numeric_limits<float>::quiet_NaN();
    for (const MapKind kind : {MapKind::Exact, MapKind::Difference})
        for (const std::int64_t side : {kWhole, std::int64_t{17}})
            for (const std::int64_t numbers : {kDeviceMapNumbers, std::int64_t{700}}) {
                const AttentionMap map = onDevice(s, {.kind = kind, .maxSide = side}, numbers);
                for (std::int64_t row = 0; row < map.matrix.rows; ++row)
                    for (std::int64_t col = 0; col < map.matrix.cols; ++col)
                        ASSERT_EQ(std::isnan(map.matrix.at(row, col)), row == kRow / map.rowBlock)
                            << mapName(kind) << ", " << side << ": " << row << ", " << col;
            }
}

TEST_F(DeviceMaps, AreRefusedWithTheReason) {
    const AttentionSizes sizes{.layers = 1, .heads = 1, .headWidth = 8, .length = 20};
    const Snapshot s = test::disturbedSnapshot(findMechanism("full"), {}, sizes);
    EXPECT_THROW(onDevice(s, {.kind = MapKind::Lifted}), Error);
    EXPECT_THROW(onDevice(s, {.kind = MapKind::Exact, .layer = 1}), Error);
    EXPECT_THROW(onDevice(s, {.kind = MapKind::Exact, .sample = 2}), Error);
}

}  // namespace
}  // namespace linscope

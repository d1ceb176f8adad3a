#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/data/task.h"
#include "core/train/lane.h"
#include "core/train/trainer.h"
#include "tests/support/small_experiment.h"

// Every `new` of this program is counted: the promise is that a step takes nothing from the heap.
// (What oneDNN and OpenMP take inside a product with malloc is theirs and not counted.)
namespace {
std::atomic<long> allocations{0};
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size);
}
void* operator new(std::size_t size) {
    if (void* memory = operator new(size, std::nothrow)) return memory;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    ++allocations;
    const auto a = static_cast<std::size_t>(alignment);
    if (void* memory = std::aligned_alloc(a, (size + a - 1) / a * a)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

namespace linscope {
namespace {

/// With activation checkpointing and products in bfloat16, or with neither.
void expectNoAllocations(bool both) {
    test::TemporaryFolder folder;
    Experiment experiment = test::smallExperiment(test::writeText(folder.path()));
    experiment.model.shortConvolution = 3;
    experiment.model.activationCheckpointing = both;
    experiment.model.precision = both ? "bf16" : "fp32";
    Trainer trainer(experiment);
    const auto task = findTask("masked_bytes").create(experiment.task.options, 5);
    Batch batch;
    for (std::size_t i = 0; i < trainer.laneCount(); ++i) {
        Lane& lane = trainer.lane(i);
        task->nextBatch(batch);
        lane.step(batch, 1);
        const std::int64_t blocks = lane.heapAllocations();
        for (int step = 2; step < 8; ++step) {
            const long before = allocations;
            task->nextBatch(batch);
            EXPECT_EQ(allocations - before, 0) << "next batch";
            lane.step(batch, step);
            EXPECT_EQ(allocations - before, 0) << "lane " << i;
        }
        EXPECT_EQ(lane.heapAllocations(), blocks);
    }
}

TEST(Allocation, StepsAfterTheFirstTakeNothing) {
    expectNoAllocations(false);
}

TEST(Allocation, NorDoThoseThatComputeBlocksAgainInBf16) {
    expectNoAllocations(true);
}

}  // namespace
}  // namespace linscope

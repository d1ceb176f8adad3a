#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "core/base/precision.h"
#include "core/tensor/tensor.h"

struct CUstream_st;
struct CUgraphExec_st;
struct CUevent_st;

namespace linscope {

namespace cuda {
class Blas;
class FusedAttentions;

/// Whether a kernel may take its place on the device while the one before it ends (CUDA C++ Programming Guide,
/// "Programmatic Dependent Launch"). The first device's word counts for all.
bool kernelsOverlap();
}  // namespace cuda

/// Work recorded once and then replayed with one call.
class DeviceGraph {
public:
    explicit DeviceGraph(CUgraphExec_st* graph) : m_graph(graph) {}
    ~DeviceGraph();
    DeviceGraph(const DeviceGraph&) = delete;
    DeviceGraph& operator=(const DeviceGraph&) = delete;
    CUgraphExec_st* raw() const { return m_graph; }

private:
    CUgraphExec_st* m_graph;
};

/// One stream of work on the CUDA device with what its operations share. Everything that is asked of it is done in
/// order and, unless said otherwise, later: no call waits. Each lane has a context, so that lanes run beside one
/// another. Throws Error `[cuda] …` on every failure; in a build without CUDA the constructor does.
class DeviceContext {
public:
    DeviceContext();
    ~DeviceContext();
    DeviceContext(const DeviceContext&) = delete;
    DeviceContext& operator=(const DeviceContext&) = delete;

    /// Memory of the device. Throws Error with what was needed and what was free. Not while a graph is captured.
    void* allocate(std::size_t bytes);
    void release(void* memory);
    /// Memory of the processor that copies to and from the device run from without waiting.
    void* allocatePinned(std::size_t bytes);
    void releasePinned(void* memory);

    void fill(void* memory, int byte, std::size_t bytes);
    /// Where `from` or `to` is not pinned the call may wait.
    void toDevice(void* to, const void* from, std::size_t bytes);
    void toHost(void* to, const void* from, std::size_t bytes);
    void copy(void* to, const void* from, std::size_t bytes);
    void fillNumbers(float* numbers, float value, std::int64_t count);
    /// Waits until all of it is done.
    void wait();

    /// Records what `work` asks for in place of doing it.
    std::unique_ptr<DeviceGraph> capture(const std::function<void()>& work);
    void replay(const DeviceGraph& graph);

    /// Starts and stops a clock on the device; milliseconds() waits for the stop.
    void startClock();
    void stopClock();
    double milliseconds();

    /// At least `count` numbers on the device that are 0 whenever a kernel starts: whoever counts there puts them back.
    unsigned* counters(std::int64_t count);
    /// Where work is put now: this context's stream, or while a Beside lives a second one.
    CUstream_st* stream() const { return m_beside ? m_side : m_stream; }
    bool isBeside() const { return m_beside; }
    /// What is asked for from here on waits for all that was done beside.
    void join();
    /// Somebody is about to write to this memory for another purpose: what is asked for from here on waits for the work
    /// beside that reads or writes it. Memory that is claimed while a Beside lives is that one's.
    void claim(const void* memory, std::size_t bytes);
    void claim(const Tensor& tensor) { claim(tensor.raw(), static_cast<std::size_t>(tensor.bytes())); }

    /// While it lives, work is put beside the rest: it waits for what has been asked for so far, and nothing waits for
    /// it before join(), or before somebody claims what it `reads` or has claimed. For gradients of parameters, which a
    /// backward pass computes but does not need: kernels of small models leave most of a device idle, and these fill
    /// it. Those gradients nobody else may write before join().
    class Beside {
    public:
        Beside(DeviceContext& context, std::initializer_list<Tensor> reads);
        ~Beside();
        Beside(const Beside&) = delete;
        Beside& operator=(const Beside&) = delete;

    private:
        DeviceContext& m_context;
    };

    /// Matrix products; the library is loaded at the first call.
    cuda::Blas& blas();
    /// Exact attention by a library, loaded at the first call; null where it is not there or not wanted.
    cuda::FusedAttentions* fusedAttentions();
    /// Whether sums have to come in the same order every time.
    void setDeterministic(bool deterministic) { m_deterministic = deterministic; }
    /// How matrix products are computed; their sums are in single precision always.
    Precision precision() const { return m_precision; }
    /// Throws Error where the device has no tensor cores for it. Before the first work.
    void setPrecision(Precision precision);
    bool tensorCores() const { return m_precision != Precision::Single; }
    /// Multiprocessors of the device, for kernels that choose their own number of blocks.
    int processors() const { return m_processors; }
    /// Whether kernels of warpgroups run here (core/cuda/wgmma.cuh).
    bool hasWarpgroups() const { return m_hasWarpgroups; }

private:
    CUstream_st *m_stream = nullptr, *m_side = nullptr;
    CUevent_st *m_start = nullptr, *m_stop = nullptr, *m_forked = nullptr, *m_joined = nullptr;
    bool m_beside = false;  ///< work goes beside now
    /// Memory of the n-th Beside since all of them were joined, whose end is m_ends[n].
    struct Claimed {
        const std::byte *begin, *end;
        std::size_t beside;
    };
    std::vector<Claimed> m_claimed;
    std::vector<CUevent_st*> m_ends;
    std::size_t m_besides = 0;
    std::unique_ptr<cuda::Blas> m_blas;
    std::unique_ptr<cuda::FusedAttentions> m_fusedAttentions;
    bool m_lookedForAttentions = false, m_deterministic = false;
    int m_processors = 1;
    bool m_hasWarpgroups = false;
    unsigned* m_counters = nullptr;
    Precision m_precision = Precision::Single;
};

}  // namespace linscope

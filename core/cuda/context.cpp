#include "core/cuda/context.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/cuda/blas.h"
#include "core/cuda/check.h"
#include "core/cuda/device.h"
#include "core/cuda/fused_attention.h"

namespace linscope {

namespace cuda {

void check(cudaError_t status, std::string_view what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // so that the next call does not report it again
    fail("cuda", "{} was required to succeed, but: {}", what, cudaGetErrorString(status));
}

void checkAcross(unsigned blocks, std::string_view what) {
    constexpr unsigned kMost = 65535;
    require(blocks <= kMost, "cuda", "at most {} heads of sequences for {}, but there are {}; make task.batch smaller",
            kMost, what, blocks);
}

}  // namespace cuda

using cuda::check;

namespace {
constexpr std::int64_t kCounters = 1 << 14;
#ifdef LINSCOPE_HOPPER
constexpr bool kBuiltForHopper = true;
#else
constexpr bool kBuiltForHopper = false;
#endif

int attributeOf(cudaDeviceAttr attribute) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, attribute, 0), "reading what the device has");
    return value;
}

/// Whether the code that runs here is Hopper's own.
bool runsForHopper() {
    return kBuiltForHopper && attributeOf(cudaDevAttrComputeCapabilityMajor) == 9 &&
           attributeOf(cudaDevAttrComputeCapabilityMinor) == 0;
}
}  // namespace

bool cuda::kernelsOverlap() {
    static const bool overlap = runsForHopper();  // code for older devices does not wait
    return overlap;
}

bool cudaAvailable() {
    int count = 0;
    const bool found = cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
    cudaGetLastError();
    return found;
}

void requireCuda() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    cudaGetLastError();
    require(status == cudaSuccess && count > 0, "cuda", "a CUDA device was required, but {}; use --device cpu",
            status == cudaSuccess ? "this machine has none" : cudaGetErrorString(status));
}

std::string cudaDescription() {
    requireCuda();
    cudaDeviceProp properties{};
    int driver = 0, runtime = 0;
    check(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
    check(cudaDriverGetVersion(&driver), "reading the driver's version");
    check(cudaRuntimeGetVersion(&runtime), "reading the runtime's version");
    return fmt::format("{}, compute capability {}.{}, {} multiprocessors, CUDA {}.{} (driver for {}.{})",
                       properties.name, properties.major, properties.minor, properties.multiProcessorCount,
                       runtime / 1000, runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
}

DeviceGraph::~DeviceGraph() {
    cudaGraphExecDestroy(m_graph);
}

DeviceContext::DeviceContext() {
    requireCuda();
    check(cudaStreamCreateWithFlags(&m_stream, cudaStreamNonBlocking), "making a stream");
    check(cudaStreamCreateWithFlags(&m_side, cudaStreamNonBlocking), "making a stream");
    for (cudaEvent_t* event : {&m_start, &m_stop}) check(cudaEventCreate(event), "making an event");
    for (cudaEvent_t* event : {&m_forked, &m_joined})
        check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "making an event");
    m_processors = attributeOf(cudaDevAttrMultiProcessorCount);
    m_hasWarpgroups = runsForHopper();
    m_counters = static_cast<unsigned*>(allocate(kCounters * sizeof(unsigned)));
    fill(m_counters, 0, kCounters * sizeof(unsigned));
}

DeviceContext::~DeviceContext() {
    cudaStreamSynchronize(m_side);
    cudaStreamSynchronize(m_stream);
    cudaFree(m_counters);
    m_blas.reset();
    m_fusedAttentions.reset();
    for (cudaEvent_t event : {m_start, m_stop, m_forked, m_joined}) cudaEventDestroy(event);
    for (cudaEvent_t event : m_ends) cudaEventDestroy(event);
    cudaStreamDestroy(m_side);
    cudaStreamDestroy(m_stream);
}

void* DeviceContext::allocate(std::size_t bytes) {
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        std::size_t free = 0, total = 0;
        cudaMemGetInfo(&free, &total);
        constexpr double mega = 1e6;
        fail("cuda",
             "{:.0f} MB of the device's memory were required, but {:.0f} of {:.0f} MB are free; make task.batch, "
             "task.length or the model smaller",
             static_cast<double>(bytes) / mega, static_cast<double>(free) / mega, static_cast<double>(total) / mega);
    }
    check(status, "taking memory");
    return memory;
}

void DeviceContext::release(void* memory) {
    cudaFree(memory);
}

void* DeviceContext::allocatePinned(std::size_t bytes) {
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes), "taking pinned memory");
    return memory;
}

void DeviceContext::releasePinned(void* memory) {
    cudaFreeHost(memory);
}

void DeviceContext::fill(void* memory, int byte, std::size_t bytes) {
    check(cudaMemsetAsync(memory, byte, bytes, stream()), "filling memory");
}

void DeviceContext::toDevice(void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream()), "copying to the device");
}

void DeviceContext::toHost(void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "copying from the device");
}

void DeviceContext::copy(void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copying on the device");
}

void DeviceContext::wait() {
    check(cudaStreamSynchronize(m_stream), "the device's work");
}

DeviceContext::Beside::Beside(DeviceContext& context, std::initializer_list<Tensor> reads) : m_context(context) {
    if (context.m_ends.size() == context.m_besides)
        check(cudaEventCreateWithFlags(&context.m_ends.emplace_back(), cudaEventDisableTiming), "making an event");
    check(cudaEventRecord(context.m_forked, context.m_stream), "going beside");
    check(cudaStreamWaitEvent(context.m_side, context.m_forked, 0), "going beside");
    context.m_beside = true;
    for (const Tensor& tensor : reads) context.claim(tensor);
}

DeviceContext::Beside::~Beside() {
    // An error shows at whoever waits for it.
    cudaEventRecord(m_context.m_ends[m_context.m_besides++], m_context.m_side);
    m_context.m_beside = false;
}

void DeviceContext::claim(const void* memory, std::size_t bytes) {
    const auto *begin = static_cast<const std::byte*>(memory), *end = begin + bytes;
    if (m_beside) {
        m_claimed.push_back({begin, end, m_besides});
        return;
    }
    const auto last = std::find_if(m_claimed.rbegin(), m_claimed.rend(),
                                   [=](const Claimed& other) { return other.begin < end && begin < other.end; });
    if (last == m_claimed.rend()) return;
    const std::size_t beside = last->beside;
    check(cudaStreamWaitEvent(m_stream, m_ends[beside], 0), "waiting for what is beside");
    // What is beside is done in order.
    std::erase_if(m_claimed, [=](const Claimed& other) { return other.beside <= beside; });
}

void DeviceContext::join() {
    if (m_besides == 0) return;
    m_besides = 0;
    m_claimed.clear();
    check(cudaEventRecord(m_joined, m_side), "coming together");
    check(cudaStreamWaitEvent(m_stream, m_joined, 0), "coming together");
}

std::unique_ptr<DeviceGraph> DeviceContext::capture(const std::function<void()>& work) {
    check(cudaStreamBeginCapture(m_stream, cudaStreamCaptureModeThreadLocal), "starting a graph");
    cudaGraph_t graph = nullptr;
    try {
        work();
    } catch (...) {
        m_besides = 0;
        m_claimed.clear();
        cudaStreamEndCapture(m_stream, &graph);
        if (graph != nullptr) cudaGraphDestroy(graph);
        cudaGetLastError();
        throw;
    }
    check(cudaStreamEndCapture(m_stream, &graph), "finishing a graph");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "making a graph");
    return std::make_unique<DeviceGraph>(executable);
}

void DeviceContext::replay(const DeviceGraph& graph) {
    check(cudaGraphLaunch(graph.raw(), m_stream), "starting a graph");
}

void DeviceContext::setPrecision(Precision precision) {
    const int major = attributeOf(cudaDevAttrComputeCapabilityMajor);
    require(precision == Precision::Single || major >= 8, "cuda",
            "compute capability 8 or more for precision {}, but the device has {}; use fp32", nameOf(precision), major);
    m_precision = precision;
}

void DeviceContext::startClock() {
    check(cudaEventRecord(m_start, m_stream), "starting a clock");
}

void DeviceContext::stopClock() {
    check(cudaEventRecord(m_stop, m_stream), "stopping a clock");
}

double DeviceContext::milliseconds() {
    check(cudaEventSynchronize(m_stop), "the device's work");
    float time = 0;
    check(cudaEventElapsedTime(&time, m_start, m_stop), "reading a clock");
    return static_cast<double>(time);
}

unsigned* DeviceContext::counters(std::int64_t count) {
    require(count <= kCounters, "cuda", "at most {} counters, but got {}", kCounters, count);
    return m_counters;
}

cuda::Blas& DeviceContext::blas() {
    if (!m_blas) m_blas = std::make_unique<cuda::Blas>(*this);
    return *m_blas;
}

cuda::FusedAttentions* DeviceContext::fusedAttentions() {
    if (m_deterministic) return nullptr;
    if (!std::exchange(m_lookedForAttentions, true)) m_fusedAttentions = cuda::loadFusedAttentions();
    return m_fusedAttentions.get();
}

}  // namespace linscope

#include "core/cuda/context.h"

#include "core/cuda/blas.h"
#include "core/cuda/device.h"
#include "core/cuda/fused_attention.h"
#include "core/cuda/rounded.h"
#include "core/no_cuda/absent.h"

// The constructor throws, so that nothing else here is ever reached.

namespace linscope {

namespace cuda {

struct Blas::Algorithm {};
Blas::Blas(DeviceContext& context) : m_context(context) {
    absent();
}
Blas::~Blas() = default;
void Blas::multiply(const Products&, const void*, const void*, void*) {
    absent();
}
bool Blas::multiplyIfPossible(const Products&, const void*, const void*, void*) {
    absent();
}
void roundInto(DeviceContext&, const float*, Bf16*, std::int64_t) {
    absent();
}
Tensor rounded(Arena&, const Tensor&) {
    absent();
}
DType productType(Arena&) {
    absent();
}

}  // namespace cuda

cuda::Blas& DeviceContext::blas() {
    absent();
}
unsigned* DeviceContext::counters(std::int64_t) {
    absent();
}

bool cudaAvailable() {
    return false;
}
void requireCuda() {
    absent();
}
std::string cudaDescription() {
    absent();
}

DeviceGraph::~DeviceGraph() = default;

DeviceContext::DeviceContext() {
    absent();
}
DeviceContext::~DeviceContext() = default;
void* DeviceContext::allocate(std::size_t) {
    absent();
}
void DeviceContext::release(void*) {}
void* DeviceContext::allocatePinned(std::size_t) {
    absent();
}
void DeviceContext::releasePinned(void*) {}
void DeviceContext::fill(void*, int, std::size_t) {
    absent();
}
void DeviceContext::fillNumbers(float*, float, std::int64_t) {
    absent();
}
void DeviceContext::toDevice(void*, const void*, std::size_t) {
    absent();
}
void DeviceContext::toHost(void*, const void*, std::size_t) {
    absent();
}
void DeviceContext::copy(void*, const void*, std::size_t) {
    absent();
}
void DeviceContext::wait() {
    absent();
}
void DeviceContext::join() {
    absent();
}
void DeviceContext::claim(const void*, std::size_t) {
    absent();
}
std::unique_ptr<DeviceGraph> DeviceContext::capture(const std::function<void()>&) {
    absent();
}
void DeviceContext::replay(const DeviceGraph&) {
    absent();
}
void DeviceContext::setPrecision(Precision) {
    absent();
}
void DeviceContext::startClock() {
    absent();
}
void DeviceContext::stopClock() {
    absent();
}
double DeviceContext::milliseconds() {
    absent();
}

}  // namespace linscope

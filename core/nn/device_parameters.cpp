#include "core/nn/device_parameters.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/cuda/rounded.h"

namespace linscope {
namespace {

std::int64_t padded(std::int64_t count) {
    return (count + DeviceParameters::kChunk - 1) / DeviceParameters::kChunk * DeviceParameters::kChunk;
}

struct Part {
    Tensor Parameter::*host;
    std::int64_t index;
};
constexpr Part kParts[] = {
    {&Parameter::value, 0}, {&Parameter::gradient, 1}, {&Parameter::firstMoment, 2}, {&Parameter::secondMoment, 3}};

}  // namespace

DeviceParameters::DeviceParameters(DeviceContext& context, ParameterStore& store) : m_context(context), m_store(store) {
    require(store.type() == DType::F32, "cuda", "parameters in single precision, but they are in double");
    for (const Parameter& p : store.all()) m_size += padded(p.value.elements());
    m_memory = static_cast<float*>(context.allocate(bytes()));
    m_chunks = static_cast<std::uint8_t*>(context.allocate(static_cast<std::size_t>(m_size / kChunk) + 1));
    context.fill(m_memory, 0, bytes());
    if (context.precision() == Precision::Bf16)
        m_rounded = static_cast<Bf16*>(context.allocate(sizeof(Bf16) * static_cast<std::size_t>(m_size)));
    std::int64_t at = 0;
    for (Parameter& p : store.all()) {
        p.onDevice.value = Tensor(values() + at, p.value.shape(), DType::F32, Device::Cuda);
        p.onDevice.gradient = Tensor(gradients() + at, p.value.shape(), DType::F32, Device::Cuda);
        if (m_rounded != nullptr)
            p.onDevice.rounded = Tensor(m_rounded + at, p.value.shape(), DType::BF16, Device::Cuda);
        at += padded(p.value.elements());
    }
    refreshChunks();
    upload(false);
    context.wait();
}

DeviceParameters::~DeviceParameters() {
    m_context.release(m_chunks);
    m_context.release(m_rounded);
    m_context.release(m_memory);
    for (Parameter& p : m_store.all()) p.onDevice = {};
}

void DeviceParameters::upload(bool buffersAlone) {
    for (const Parameter& p : m_store.all()) {
        if (buffersAlone && !p.buffer) continue;
        for (const Part& part : kParts) {
            if (part.index == 1 || (buffersAlone && part.index != 0)) continue;
            const Tensor& from = p.*part.host;
            m_context.toDevice(p.onDevice.value.onDeviceAs<float>() + part.index * m_size, from.raw(),
                               static_cast<std::size_t>(from.bytes()));
        }
    }
    if (m_rounded != nullptr) cuda::roundInto(m_context, values(), m_rounded, m_size);
}

void DeviceParameters::currentOnDevice() {
    if (m_newer != Newer::Host) return;
    upload(false);
    m_context.wait();  // until the processor's copies have been read
    m_newer = Newer::Neither;
}

void DeviceParameters::currentOnHost() {
    if (m_newer != Newer::Device) return;
    // All of it or nothing: a device that is lost meanwhile must not leave numbers of two steps.
    std::vector<float> read(bytes() / sizeof(float));
    m_context.toHost(read.data(), m_memory, bytes());
    m_context.wait();
    m_newer = Newer::Neither;
    for (const Parameter& p : m_store.all())
        for (const Part& part : kParts) {
            const Tensor& to = p.*part.host;
            const float* from = read.data() + (p.onDevice.value.onDeviceAs<float>() - m_memory) + part.index * m_size;
            std::copy_n(from, to.elements(), to.as<float>());
        }
}

void DeviceParameters::refreshChunks() {
    std::vector<std::uint8_t> chunks;
    for (const Parameter& p : m_store.all()) {
        const auto bits = static_cast<std::uint8_t>((p.trained() ? 1 : 0) | (p.decay ? 2 : 0));
        chunks.insert(chunks.end(), static_cast<std::size_t>(padded(p.value.elements()) / kChunk), bits);
    }
    m_context.toDevice(m_chunks, chunks.data(), chunks.size());
    m_context.wait();  // until the list has been read
}

void DeviceParameters::clearGradients() {
    m_context.fill(gradients(), 0, bytes() / 4);
}

}  // namespace linscope

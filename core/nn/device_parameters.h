#pragma once

#include <cstdint>
#include <vector>

#include "core/cuda/context.h"
#include "core/nn/parameters.h"

namespace linscope {

/// The parameters of one store in the memory of a device: all values behind one another, then all gradients and both
/// moments in the same order, so that one kernel steps them all and one fill clears the gradients. With precision
/// "bf16" there is a fifth run, the values in bfloat16, which products read. Each parameter starts at a multiple of
/// kChunk and knows its own part (Parameter::onDevice).
///
/// The store's own tensors are the processor's copies: what is built, drawn, loaded, probed and saved. Neither side
/// follows the other by itself: stepped() and changedOnHost() say which is newer, and currentOnHost() and
/// currentOnDevice() copy what has to be copied.
class DeviceParameters {
public:
    static constexpr std::int64_t kChunk = 256;  ///< numbers that are stepped alike

    /// Both must outlive this object; the store gets no parameter more. Everything is uploaded.
    DeviceParameters(DeviceContext& context, ParameterStore& store);
    ~DeviceParameters();
    DeviceParameters(const DeviceParameters&) = delete;
    DeviceParameters& operator=(const DeviceParameters&) = delete;

    /// The device has made a step, or is about to; the processor's copies are old.
    void stepped() { m_newer = Newer::Device; }
    /// The processor's copies, which were current, may be written to.
    void changedOnHost() { m_newer = Newer::Host; }
    /// Values, gradients and moments to the processor, where the device's are newer; waits for them.
    void currentOnHost();
    /// Values and moments to the device, where the processor's may be newer.
    void currentOnDevice();
    /// The values that are never trained to the device: new random features.
    void uploadBuffers() { upload(true); }
    /// Which chunks are stepped, and which of them decay, from what the parameters say now.
    void refreshChunks();
    void clearGradients();

    /// Numbers of each of the four parts, padding included.
    std::int64_t size() const { return m_size; }
    float* values() const { return m_memory; }
    float* gradients() const { return m_memory + m_size; }
    float* firstMoments() const { return m_memory + 2 * m_size; }
    float* secondMoments() const { return m_memory + 3 * m_size; }
    /// The values in bfloat16, which whoever changes them keeps in step; null with another precision.
    Bf16* rounded() const { return m_rounded; }
    /// [size/kChunk] bit 0: is stepped; bit 1: decays.
    const std::uint8_t* chunks() const { return m_chunks; }
    std::size_t bytes() const { return 4 * sizeof(float) * static_cast<std::size_t>(m_size); }

private:
    enum class Newer { Neither, Device, Host };
    void upload(bool buffersAlone);

    DeviceContext& m_context;
    ParameterStore& m_store;
    std::int64_t m_size = 0;
    float* m_memory = nullptr;
    std::uint8_t* m_chunks = nullptr;
    Bf16* m_rounded = nullptr;
    Newer m_newer = Newer::Neither;
};

}  // namespace linscope

#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "viz/gpu/buffer.h"
#include "viz/interop/cuda_import.h"
#include "viz/interop/map_route.h"
#include "viz/interop/timeline.h"

namespace linscope::viz {

/// The cells of a matrix where HeatmapPane::setCells() draws them from, written anew whenever there is something new,
/// by CUDA or by the processor as its route says:
///
///     float* cells = matrix.beginWriting();
///     cuda::mapTile(context, tile, cells);  // or the processor writes there, on MapPath::Processor
///     matrix.endWriting();                      // frames submitted from here on show it
///
/// Used by one thread at a time, and not between the recording of a frame that draws these cells and its submission.
/// On MapPath::Shared no call waits: device and CUDA wait for each other on a timeline.
class DeviceMatrix {
public:
    /// `context` computes, and must outlive this; not needed for MapPath::Processor. Throws Error when memory is short
    /// or the route is not open on this device.
    DeviceMatrix(Device& device, std::int64_t rows, std::int64_t cols, MapRoute route, DeviceContext* context);
    ~DeviceMatrix();
    DeviceMatrix(const DeviceMatrix&) = delete;
    DeviceMatrix& operator=(const DeviceMatrix&) = delete;

    std::int64_t rows() const { return m_rows; }
    std::int64_t cols() const { return m_cols; }
    const MapRoute& route() const { return m_route; }
    std::shared_ptr<const Buffer> cells() const { return m_buffer; }

    /// Where to write, [rows,cols]: memory of the CUDA device, or on MapPath::Processor of the processor. What is asked
    /// of the context from here on waits for the frames submitted so far.
    float* beginWriting();
    /// After the work has been asked of the context.
    void endWriting();

private:
    std::size_t bytes() const { return std::size_t(m_rows * m_cols) * sizeof(float); }

    Device& m_device;
    std::int64_t m_rows, m_cols;
    MapRoute m_route;
    DeviceContext* m_context;
    std::shared_ptr<Buffer> m_buffer;
    std::optional<Timeline> m_timeline;    // of Shared
    std::optional<CudaImport> m_imported;  // of Shared
    void* m_staged = nullptr;              // of Staged: memory of the CUDA device
    std::uint64_t m_time = 0;              // last value of the timeline that somebody was asked to set
};

}  // namespace linscope::viz

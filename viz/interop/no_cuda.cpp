#include "core/no_cuda/absent.h"
#include "viz/interop/cuda_import.h"

// The constructor throws, so that nothing else of the class is ever reached.

namespace linscope::viz {

struct CudaImport::State {};

std::optional<DeviceUuid> computingDevice() {
    return std::nullopt;
}
CudaImport::CudaImport(int, std::size_t, int) {
    absent();
}
CudaImport::~CudaImport() = default;
void* CudaImport::data() const {
    absent();
}
void CudaImport::await(DeviceContext&, std::uint64_t) {
    absent();
}
void CudaImport::signal(DeviceContext&, std::uint64_t) {
    absent();
}

}  // namespace linscope::viz

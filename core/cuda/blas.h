#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "core/ops/gemm.h"

namespace linscope {
class DeviceContext;
}

namespace linscope::cuda {

struct BlasLibrary;

/// One product or several of one form: the matrices of the next one lie `strideA`, `strideB`, `strideC` numbers
/// further.
struct Products : Product {
    std::int64_t batches = 1, strideA = 0, strideB = 0, strideC = 0;
    const float* bias = nullptr;  ///< [n] added to every row of the result, or none
};

/// Matrix products of one stream by cuBLASLt, in the context's precision. The library is half a gigabyte: it is
/// loaded when the first product is asked for, so that commands that never compute on a device start at once. The
/// choice of algorithm is remembered for each form.
class Blas {
public:
    explicit Blas(DeviceContext& context);
    ~Blas();
    Blas(const Blas&) = delete;
    Blas& operator=(const Blas&) = delete;

    /// c = α·op(a)·op(b) + β·c (+ bias), row-major as core/ops/gemm.h has it; addresses of the device.
    void multiply(const Products& products, const float* a, const float* b, float* c);

private:
    using Form = std::array<std::int64_t, 14>;
    struct Algorithm;
    const Algorithm& algorithmOf(const Form& form, void* operation, void* const layouts[3]);

    DeviceContext& m_context;
    std::shared_ptr<const BlasLibrary> m_library;
    void* m_handle = nullptr;
    void* m_workspaces[2] = {};  ///< of the stream, and of the one beside it
    std::map<Form, std::unique_ptr<Algorithm>> m_algorithms;
};

}  // namespace linscope::cuda

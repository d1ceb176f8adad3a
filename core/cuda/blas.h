#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "core/ops/gemm.h"
#include "core/tensor/tensor.h"

namespace linscope {
class DeviceContext;
}

namespace linscope::cuda {

struct BlasLibrary;

/// What is done to a product's numbers before they are written. (cuBLASLt has GELU's gradient too, but takes 40 µs for
/// a product that takes 12 without it.)
enum class Epilogue : std::uint8_t {
    None,
    Gelu,  ///< c = gelu(pre), and pre is kept
};

/// One product or several of one form: the matrices of the next one lie `strideA`, `strideB`, `strideC` numbers
/// further. a and b are of one type, F32 or BF16, and so are c, bias and pre of another.
struct Products : Product {
    std::int64_t batches = 1, strideA = 0, strideB = 0, strideC = 0;
    const void* bias = nullptr;  ///< [n] added to every row of the result, or none
    std::int64_t strideBias = 0;
    DType factors = DType::F32, result = DType::F32;
    const void* onto = nullptr;  ///< [m,n] F32, laid out as c and added to it in c's place; null: c itself, times beta
    Epilogue epilogue = Epilogue::None;
    void* pre = nullptr;  ///< [m,n] of that epilogue, laid out as c
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
    void multiply(const Products& products, const void* a, const void* b, void* c);
    /// The same, unless cuBLASLt cannot do it: then false, and nothing is done. For epilogues, which not every version
    /// has for every form.
    bool multiplyIfPossible(const Products& products, const void* a, const void* b, void* c);

private:
    using Form = std::array<std::int64_t, 20>;
    struct Algorithm;
    const Algorithm& algorithmOf(const Form& form, void* operation, void* const layouts[3]);

    DeviceContext& m_context;
    std::shared_ptr<const BlasLibrary> m_library;
    void* m_handle = nullptr;
    void* m_workspaces[2] = {};  ///< of the stream, and of the one beside it
    std::map<Form, std::unique_ptr<Algorithm>> m_algorithms;
};

}  // namespace linscope::cuda

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

struct CUstream_st;

namespace linscope::cuda {

struct DnnLibrary;

/// cuDNN on this thread's device.
class Dnn {
public:
    /// Throws Error `[cuda] …` where the library is missing, too old or does not start.
    Dnn();
    ~Dnn();
    Dnn(const Dnn&) = delete;
    Dnn& operator=(const Dnn&) = delete;

    const DnnLibrary& library() const { return *m_library; }
    void* handle() const { return m_handle; }

private:
    std::unique_ptr<const DnnLibrary> m_library;
    void* m_handle = nullptr;  // cudnnHandle_t
};

/// A graph of operations on tensors of four axes that cuDNN makes one kernel of, or a few (its backend API). Errors of
/// the caller throw; that cuDNN has no kernel for a graph does not.
class DnnGraph {
public:
    using Axes = std::array<std::int64_t, 4>;
    enum class Type : std::uint8_t { F32, Bf16, I32, Bool };
    enum class Place : std::uint8_t {
        Memory,   ///< an address is given when the plan runs
        Inside,   ///< of the kernels alone
        ByValue,  ///< one number in the processor's memory
    };
    enum class Function : std::uint8_t { Add, Subtract, Multiply, Divide, Exp, Log, GreaterEqual, Identity };
    enum class Fold : std::uint8_t { Add, Max };
    /// What a tensor is known by.
    using Id = std::int64_t;

    explicit DnnGraph(Dnn& dnn);
    ~DnnGraph();
    DnnGraph(const DnnGraph&) = delete;
    DnnGraph& operator=(const DnnGraph&) = delete;

    Id tensor(const Axes& shape, const Axes& strides, Type type, Place place = Place::Memory);
    /// Dense, row-major.
    Id inside(const Axes& shape, Type type = Type::F32);

    void matmul(Id a, Id b, Id c);
    /// y = function(x) or function(x, b)
    void pointwise(Function function, Id x, Id b, Id y);
    void pointwise(Function function, Id x, Id y) { pointwise(function, x, kNone, y); }
    /// y = each place's index along `axis`, of x's shape.
    void index(int axis, Id x, Id y);
    /// y = condition ? x : other
    void select(Id x, Id other, Id condition, Id y);
    void reduce(Fold fold, Id x, Id y);
    /// y has x's numbers in another shape.
    void reshape(Id x, Id y);

    /// Makes the plan. False where cuDNN has none for this graph on the device.
    bool finish();
    std::int64_t workspaceBytes() const { return m_workspaceBytes; }

    struct Argument {
        Id id;
        void* address;
    };
    void run(CUstream_st* stream, const std::vector<Argument>& arguments, void* workspace) const;

private:
    static constexpr Id kNone = -1;
    class Descriptor;
    Descriptor& add(int kind);
    void* at(Id id) const { return m_tensors[static_cast<std::size_t>(id)]; }
    /// What a pointwise operation has beside its function's name, in cuDNN's numbers.
    struct Pointwise {
        int mode, type;
        Id x, b, condition, y;
        std::int64_t axis;
    };
    void addPointwise(const Pointwise& operation);
    bool finishPlan(void* config);

    Dnn& m_dnn;
    std::vector<std::unique_ptr<Descriptor>> m_descriptors;
    std::vector<void*> m_tensors, m_operations;
    Descriptor* m_plan = nullptr;
    std::int64_t m_workspaceBytes = 0;
};

}  // namespace linscope::cuda

#include "core/cuda/dnn_graph.h"

#include <cudnn_graph.h>

#include <algorithm>
#include <string>

#include "core/base/error.h"
#include "core/cuda/shared_library.h"

namespace linscope::cuda {
namespace {
constexpr std::size_t kOldest = 90600;  // clears what it adds gradients up in by itself
}

/// The functions of cuDNN that are used, found at run time.
struct DnnLibrary {
    decltype(&cudnnCreate) create = nullptr;
    decltype(&cudnnDestroy) destroy = nullptr;
    decltype(&cudnnGetVersion) version = nullptr;
    decltype(&cudnnSetStream) setStream = nullptr;
    decltype(&cudnnGetErrorString) errorString = nullptr;
    decltype(&cudnnBackendCreateDescriptor) createDescriptor = nullptr;
    decltype(&cudnnBackendDestroyDescriptor) destroyDescriptor = nullptr;
    decltype(&cudnnBackendSetAttribute) setAttribute = nullptr;
    decltype(&cudnnBackendGetAttribute) getAttribute = nullptr;
    decltype(&cudnnBackendFinalize) finalize = nullptr;
    decltype(&cudnnBackendExecute) execute = nullptr;

    DnnLibrary() {
        const SharedLibrary library({"libcudnn.so." + std::to_string(CUDNN_MAJOR), LINSCOPE_CUDNN}, "fused attention");
        library.find(create, "cudnnCreate");
        library.find(destroy, "cudnnDestroy");
        library.find(version, "cudnnGetVersion");
        library.find(setStream, "cudnnSetStream");
        library.find(errorString, "cudnnGetErrorString");
        library.find(createDescriptor, "cudnnBackendCreateDescriptor");
        library.find(destroyDescriptor, "cudnnBackendDestroyDescriptor");
        library.find(setAttribute, "cudnnBackendSetAttribute");
        library.find(getAttribute, "cudnnBackendGetAttribute");
        library.find(finalize, "cudnnBackendFinalize");
        library.find(execute, "cudnnBackendExecute");
    }

    void check(cudnnStatus_t status, const char* what) const {
        require(status == CUDNN_STATUS_SUCCESS, "cuda", "{} was required to succeed, but cuDNN says {}", what,
                errorString(status));
    }
};

/// One of cuDNN's objects, given back at its end.
class DnnGraph::Descriptor {
public:
    Descriptor(const DnnLibrary& library, cudnnBackendDescriptorType_t kind) : m_library(library) {
        library.check(library.createDescriptor(kind, &m_raw), "describing a graph");
    }
    ~Descriptor() { m_library.destroyDescriptor(m_raw); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    template <typename Value>
    Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const Value* values,
                    std::int64_t count = 1) {
        m_library.check(m_library.setAttribute(m_raw, name, type, count, values), "describing a graph");
        return *this;
    }
    Descriptor& set(cudnnBackendAttributeName_t name, void* other) {
        return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &other);
    }
    void finish() { m_library.check(m_library.finalize(m_raw), "finishing a description"); }
    bool tryToFinish() { return m_library.finalize(m_raw) == CUDNN_STATUS_SUCCESS; }
    void* raw() const { return m_raw; }

private:
    const DnnLibrary& m_library;
    cudnnBackendDescriptor_t m_raw = nullptr;
};

Dnn::Dnn() : m_library(std::make_unique<DnnLibrary>()) {
    require(m_library->version() >= kOldest, "cuda", "cuDNN {} or newer was required, but {} was found", kOldest,
            m_library->version());
    cudnnHandle_t handle = nullptr;
    m_library->check(m_library->create(&handle), "starting cuDNN");
    m_handle = handle;
}

Dnn::~Dnn() {
    if (m_handle != nullptr) m_library->destroy(static_cast<cudnnHandle_t>(m_handle));
}

DnnGraph::DnnGraph(Dnn& dnn) : m_dnn(dnn) {}
DnnGraph::~DnnGraph() {
    // Objects go before those that they are made of.
    while (!m_descriptors.empty()) m_descriptors.pop_back();
}

DnnGraph::Descriptor& DnnGraph::add(int kind) {
    m_descriptors.push_back(
        std::make_unique<Descriptor>(m_dnn.library(), static_cast<cudnnBackendDescriptorType_t>(kind)));
    return *m_descriptors.back();
}

DnnGraph::Id DnnGraph::tensor(const Axes& shape, const Axes& strides, Type type, Place place) {
    constexpr cudnnDataType_t kTypes[] = {CUDNN_DATA_FLOAT, CUDNN_DATA_BFLOAT16, CUDNN_DATA_INT32, CUDNN_DATA_BOOLEAN};
    constexpr std::int64_t kAlignment = 16;
    const auto id = static_cast<Id>(m_tensors.size());
    const bool isVirtual = place == Place::Inside, byValue = place == Place::ByValue;
    Descriptor& d = add(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, &id)
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, &kTypes[static_cast<int>(type)])
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, shape.data(), 4)
        .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides.data(), 4)
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, &kAlignment)
        .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, &isVirtual)
        .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, &byValue)
        .finish();
    m_tensors.push_back(d.raw());
    return id;
}

DnnGraph::Id DnnGraph::inside(const Axes& shape, Type type) {
    return tensor(shape, {shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1}, type, Place::Inside);
}

void DnnGraph::matmul(Id a, Id b, Id c) {
    constexpr cudnnDataType_t kSums = CUDNN_DATA_FLOAT;
    Descriptor& how = add(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, &kSums).finish();
    Descriptor& d = add(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, at(a))
        .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, at(b))
        .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, at(c))
        .set(CUDNN_ATTR_OPERATION_MATMUL_DESC, how.raw())
        .finish();
    m_operations.push_back(d.raw());
}

void DnnGraph::addPointwise(const Pointwise& operation) {
    const auto mode = static_cast<cudnnPointwiseMode_t>(operation.mode);
    const auto type = static_cast<cudnnDataType_t>(operation.type);
    Descriptor& how = add(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, &mode)
        .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, &type);
    if (operation.axis >= 0) how.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, &operation.axis);
    how.finish();
    Descriptor& d = add(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how.raw())
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at(operation.x))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(operation.y));
    if (operation.b != kNone) d.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, at(operation.b));
    if (operation.condition != kNone) d.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, at(operation.condition));
    d.finish();
    m_operations.push_back(d.raw());
}

void DnnGraph::pointwise(Function function, Id x, Id b, Id y) {
    constexpr cudnnPointwiseMode_t kModes[] = {CUDNN_POINTWISE_ADD,    CUDNN_POINTWISE_SUB,     CUDNN_POINTWISE_MUL,
                                               CUDNN_POINTWISE_DIV,    CUDNN_POINTWISE_EXP,     CUDNN_POINTWISE_LOG,
                                               CUDNN_POINTWISE_CMP_GE, CUDNN_POINTWISE_IDENTITY};
    addPointwise({.mode = kModes[static_cast<int>(function)],
                  .type = function == Function::GreaterEqual ? CUDNN_DATA_BOOLEAN : CUDNN_DATA_FLOAT,
                  .x = x,
                  .b = b,
                  .condition = kNone,
                  .y = y,
                  .axis = -1});
}

void DnnGraph::index(int axis, Id x, Id y) {
    addPointwise({.mode = CUDNN_POINTWISE_GEN_INDEX,
                  .type = CUDNN_DATA_INT32,
                  .x = x,
                  .b = kNone,
                  .condition = kNone,
                  .y = y,
                  .axis = axis});
}

void DnnGraph::select(Id x, Id other, Id condition, Id y) {
    addPointwise({.mode = CUDNN_POINTWISE_BINARY_SELECT,
                  .type = CUDNN_DATA_FLOAT,
                  .x = x,
                  .b = other,
                  .condition = condition,
                  .y = y,
                  .axis = -1});
}

void DnnGraph::reduce(Fold fold, Id x, Id y) {
    constexpr cudnnDataType_t kSums = CUDNN_DATA_FLOAT;
    const cudnnReduceTensorOp_t operation = fold == Fold::Max ? CUDNN_REDUCE_TENSOR_MAX : CUDNN_REDUCE_TENSOR_ADD;
    Descriptor& how = add(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    how.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, &operation)
        .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, &kSums)
        .finish();
    Descriptor& d = add(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, at(x))
        .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, at(y))
        .set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, how.raw())
        .finish();
    m_operations.push_back(d.raw());
}

void DnnGraph::reshape(Id x, Id y) {
    Descriptor& d = add(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, at(x)).set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, at(y)).finish();
    m_operations.push_back(d.raw());
}

bool DnnGraph::finishPlan(void* config) {
    void* const handle = m_dnn.handle();
    Descriptor& plan = add(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config)
        .set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, &handle);
    if (!plan.tryToFinish()) return false;
    m_plan = &plan;
    std::int64_t count = 0;
    m_dnn.library().check(m_dnn.library().getAttribute(plan.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                                       CUDNN_TYPE_INT64, 1, &count, &m_workspaceBytes),
                          "reading a plan");
    return true;
}

bool DnnGraph::finish() {
    constexpr cudnnBackendHeurMode_t kMode = CUDNN_HEUR_MODE_A;
    constexpr std::int64_t kMost = 8;
    void* const handle = m_dnn.handle();
    Descriptor& graph = add(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, &handle)
        .set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, m_operations.data(),
             static_cast<std::int64_t>(m_operations.size()));
    if (!graph.tryToFinish()) return false;
    Descriptor& heuristic = add(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.raw())
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, &kMode);
    if (!heuristic.tryToFinish()) return false;
    std::array<void*, kMost> configs{};
    for (void*& config : configs) config = add(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw();
    std::int64_t found = 0;
    m_dnn.library().check(m_dnn.library().getAttribute(heuristic.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, kMost, &found, configs.data()),
                          "choosing an engine");
    for (std::size_t i = 0; i < static_cast<std::size_t>(std::min(found, kMost)); ++i)
        if (finishPlan(configs[i])) return true;
    return false;
}

void DnnGraph::run(CUstream_st* stream, const std::vector<Argument>& arguments, void* workspace) const {
    const DnnLibrary& library = m_dnn.library();
    const auto handle = static_cast<cudnnHandle_t>(m_dnn.handle());
    std::vector<std::int64_t> ids;
    std::vector<void*> addresses;
    for (const Argument& argument : arguments) {
        ids.push_back(argument.id);
        addresses.push_back(argument.address);
    }
    Descriptor pack(library, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    const auto count = static_cast<std::int64_t>(ids.size());
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids.data(), count)
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, addresses.data(), count)
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, &workspace)
        .finish();
    library.check(library.setStream(handle, stream), "choosing a stream");
    library.check(library.execute(handle, m_plan->raw(), pack.raw()), "fused attention");
}

}  // namespace linscope::cuda

#pragma once

#include <compare>
#include <cstdint>
#include <memory>

struct CUstream_st;

namespace linscope::cuda {

/// Exact attention in bfloat16 by cuDNN's fused kernels: softmax(q·kᵀ/√D)·v per head, of all keys or of those of a
/// query's past. What cuDNN has made for one form of tensors. The backward pass adds parts of dq as they come, so that
/// the last bits of two runs differ.
class FusedAttention {
public:
    struct Form {
        std::int64_t batch, heads, queries, keys, width;
        bool causal;
        auto operator<=>(const Form&) const = default;
    };
    /// Addresses of q and o [B,T,H,D], of k and v [B,S,H,D], and of lse [B,H,T], the natural logarithm of each query's
    /// sum of exponentials, in single precision.
    struct Forward {
        void *q, *k, *v, *o, *lse;
    };
    /// The same, and gradients of the same shapes. In single precision, for what passes between kernels:
    /// deltas [B,H,T] and dqSums [B,H,T,D].
    struct Backward {
        void *q, *k, *v, *o, *lse, *dO, *dq, *dk, *dv, *deltas, *dqSums;
    };

    FusedAttention() = default;
    virtual ~FusedAttention() = default;
    FusedAttention(const FusedAttention&) = delete;
    FusedAttention& operator=(const FusedAttention&) = delete;

    virtual std::int64_t forwardWorkspaceBytes() const = 0;
    virtual std::int64_t backwardWorkspaceBytes() const = 0;
    virtual void forward(CUstream_st* stream, const Forward& tensors, void* workspace) const = 0;
    virtual void backward(CUstream_st* stream, const Backward& tensors, void* workspace) const = 0;
};

/// What a context has of them.
class FusedAttentions {
public:
    FusedAttentions() = default;
    virtual ~FusedAttentions() = default;
    FusedAttentions(const FusedAttentions&) = delete;
    FusedAttentions& operator=(const FusedAttentions&) = delete;

    /// Made when it is first asked for, which is not possible while a graph is captured; null where cuDNN has no
    /// kernels for a form on this device.
    virtual const FusedAttention* find(const FusedAttention::Form& form) = 0;
};

/// Null where cuDNN is not there, or was not when this was built.
std::unique_ptr<FusedAttentions> loadFusedAttentions();

}  // namespace linscope::cuda

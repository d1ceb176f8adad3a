#pragma once

#include "core/attention/decay_scan.h"
#include "core/attention/single_tiles.cuh"

// What scans by chunks with a state for each head share: retention, Taylor features and the delta rule. A chunk is
// kTile tokens. Tiles are exact: single precision, whatever the context's.

namespace linscope::cuda {

/// One call, by value. Decays are a fixed one for each head, or, with `sums`, each token's own.
struct ScanCall {
    int batch, length, heads, features, width;  // B, T, H, M, D
    const float *q, *k;                         // [B,T,H,M]
    const float* sums = nullptr;                // [B,H,T] Σ log α of the chunk's tokens up to this one, or null
    float scale = 1;
    bool causal = true;
    float logs[kMostScanHeads] = {};  ///< log₂ γ, where sums is null

    __host__ __device__ int chunks() const { return (length + kTile - 1) / kTile; }
    __host__ __device__ int headCount() const { return batch * heads; }
    __device__ int rowsOf(int chunk) const { return min(kTile, length - chunk * kTile); }
    __device__ std::int64_t rowAt(int bh, int t) const { return static_cast<std::int64_t>(bh) * length + t; }
    /// Where token t of head `bh` (b·H + h) begins in a tensor [B,T,H,wide].
    __device__ std::int64_t tokenAt(int bh, int t, int wide) const {
        return ((static_cast<std::int64_t>(bh / heads) * length + t) * heads + bh % heads) * wide;
    }
    __host__ __device__ std::int64_t stride(int wide) const { return static_cast<std::int64_t>(heads) * wide; }
    /// What is left of token `from` of a chunk at its token `to` ≥ from; from −1: of what came before the chunk.
    __device__ float decay(int bh, int chunk, int from, int to) const {
        if (sums == nullptr) return exp2f(static_cast<float>(to - from) * logs[bh % heads]);
        const float* of = sums + rowAt(bh, chunk * kTile);
        return expf(from < 0 ? of[to] : of[to] - of[from]);
    }
};

/// Rows from products within chunks and with a state, for every chunk of every head:
///     out_i = scale·(Σ_{j≤i} decay·⟨q_i, k_j⟩·x_j + decay·q_iᵀ·state)       (queries: o from x = v)
///     out_j = scale·Σ_{i≥j} decay·⟨q_i, k_j⟩·x_i + decay·k_jᵀ·state         (keys: dv from x = do)
/// with the state [B,H,N,M,D] before or after the chunk, or null. x, out [B,T,H,D].
void scanValues(DeviceContext& context, const ScanCall& call, bool keys, const float* x, const float* state,
                const Out& out);

/// The same for the other side of the products, from g = do and v:
///     out_i = scale·(Σ_{j≤i} decay·⟨g_i, v_j⟩·k_j + decay·state·g_i)        (queries: dq)
///     out_j = scale·Σ_{i≥j} decay·⟨g_i, v_j⟩·q_i + decay·state·v_j          (keys: dk)
/// out [B,T,H,M]. Of queries alone: without v nothing within the chunk.
void scanFeatures(DeviceContext& context, const ScanCall& call, bool keys, const float* g, const float* v,
                  const float* state, const Out& out);

}  // namespace linscope::cuda

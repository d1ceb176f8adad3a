#pragma once

#include "core/attention/linformer/linformer.h"
#include "core/attention/linformer/pool.h"

namespace linscope {

/// Linformer's kinds "convolution" and "mean" (Wang et al. 2020, §4, "General projections"): E and F read one segment
/// of neighbouring tokens for each slot. The matrices that the views and probes see are written from the kernels when
/// they are asked for.
class PooledLinformer : public Mechanism {
public:
    PooledLinformer(const LinformerOptions& options, const AttentionSizes& sizes, ParameterStore& parameters);

protected:
    Variable forwardImpl(const AttentionInput& input) const override;
    Variable naiveImpl(const AttentionInput& input) const override;
    void refreshProjections() const override;

private:
    /// One E or F: its kernels [1 or H, S], absent for the mean, and the matrices [K,T] that they stand for.
    struct Pooling {
        Segments segments;
        Parameter* kernels = nullptr;
        std::vector<Parameter*> matrices;
    };
    Pooling makePooling(const ProjectionPlace& place, bool perHead, ParameterStore& parameters);
    Variable kernelsOf(Tape& tape, const Pooling& pooling, DType type) const;
    Variable pooled(const Pooling& pooling, const Variable& x, std::span<const float> keep, bool naive) const;
    Variable run(const AttentionInput& input, bool naive) const;

    bool m_mean;
    std::vector<Pooling> m_e, m_f;  // [layers]
};

}  // namespace linscope

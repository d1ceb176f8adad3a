#pragma once

#include <cstdint>
#include <span>

#include "core/nn/parameters.h"

namespace linscope {

/// Some rows of one head, queries or keys, on their way into features or back.
template <typename T>
struct FeatureBlock {
    std::int64_t head = 0;
    bool keys = false;  ///< keys have log weights, queries none: theirs cancel
    std::int64_t rows = 0, width = 0, stride = 0;
    const T* x = nullptr;            // [rows,D], rows are `stride` apart
    T* phi = nullptr;                // [rows,M]
    T* logWeights = nullptr;         // [rows], written by forward() for the keys of a weighted map
    T* dPhi = nullptr;               // [rows,M] backward() may use it as scratch
    T* dx = nullptr;                 // [rows,D], rows are `stride` apart
    bool add = false;                ///< dx is added to, not overwritten
    T* parameterGradient = nullptr;  // [parameter's shape] is added to; null: not wanted
};

/// A map in so many words, for its CUDA form (core/attention/feature_maps_cuda.cu and feature_maps_back_cuda.cu).
struct FeatureRecipe {
    enum class Kind {
        None,  ///< there is no CUDA form
        Elu,
        Relu,
        Positive,
        Hyperbolic,
        Trigonometric,
        ProjectedRelu,
    };
    Kind kind = Kind::None;
    double scale = 1, norm = 0;                    ///< as ProjectedFeatures has them
    std::span<Parameter* const> projections = {};  // [H] W [P,D], of the maps that project
};

/// φ of kernel attention, row by row. The features of a key are φ(k) = e^c·φ̃(k): forward() writes φ̃, scaled so that
/// neither it nor a sum over tokens overflows, and the log weight c of each key. Of a query φ̃ is enough, since a
/// factor of its own cancels in the quotient. backward() treats c as a constant (e^c·φ̃ is the same function whatever
/// c is) and gives d(e^c·φ̃)/dx for the keys.
class FeatureMap {
public:
    /// Features M of one token; `weighted`: keys have log weights; `costly`: features are worth being kept for the
    /// backward pass.
    FeatureMap(std::int64_t features, bool weighted, bool costly)
        : m_features(features), m_weighted(weighted), m_costly(costly) {}
    virtual ~FeatureMap() = default;

    virtual void forward(const FeatureBlock<float>& block) const = 0;
    virtual void forward(const FeatureBlock<double>& block) const = 0;
    /// From phi and dPhi to dx and the gradient of the head's parameter.
    virtual void backward(const FeatureBlock<float>& block) const = 0;
    virtual void backward(const FeatureBlock<double>& block) const = 0;
    /// One matrix for each head that the map learns; empty where it learns nothing.
    virtual std::span<Parameter* const> parameters() const { return {}; }

    virtual FeatureRecipe recipe() const { return {}; }

    std::int64_t features() const { return m_features; }
    bool weighted() const { return m_weighted; }
    bool costly() const { return m_costly; }

private:
    std::int64_t m_features;
    bool m_weighted, m_costly;
};

/// A map that is written once for both types, as Derived::map(block) and Derived::mapBack(block).
template <typename Derived>
class FeatureMapOf : public FeatureMap {
public:
    using FeatureMap::FeatureMap;
    void forward(const FeatureBlock<float>& block) const final { self().map(block); }
    void forward(const FeatureBlock<double>& block) const final { self().map(block); }
    void backward(const FeatureBlock<float>& block) const final { self().mapBack(block); }
    void backward(const FeatureBlock<double>& block) const final { self().mapBack(block); }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }
};

}  // namespace linscope

#include "core/analysis/device_maps.h"
#include "core/analysis/map_panels.h"
#include "core/analysis/map_tile.h"
#include "core/attention/attend.h"
#include "core/attention/decay_scan.h"
#include "core/attention/feature_attention.h"
#include "core/attention/gated_delta/delta_rule.h"
#include "core/attention/gated_delta/key_gates.h"
#include "core/attention/head_norm.h"
#include "core/attention/linear/taylor.h"
#include "core/attention/linformer/compress.h"
#include "core/attention/linformer/pool.h"
#include "core/attention/linformer_causal/slot_attend.h"
#include "core/attention/nystrom/landmark_inverse.h"
#include "core/attention/reformer/chunk_attend.h"
#include "core/attention/whole_map.h"
#include "core/cuda/rounded.h"
#include "core/no_cuda/absent.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/layer_norm.h"
#include "core/ops/linear.h"
#include "core/ops/pointwise.h"
#include "core/ops/residual.h"
#include "core/ops/rotary.h"
#include "core/ops/short_convolution.h"
#include "core/optim/adamw.h"

// The CUDA forms in a build without CUDA. No tensor of a device exists there, so that nobody comes here.

namespace linscope::cuda {

Variable add(const Variable&, const Variable&) {
    absent();
}
Variable scale(const Variable&, double) {
    absent();
}
Variable scaleRows(const Variable&, std::span<const float>) {
    absent();
}
void addGradient(const Variable&, const Variable&) {
    absent();
}
Variable embed(std::span<const std::int32_t>, std::int64_t, std::int64_t, const Variable&, const Variable&) {
    absent();
}
Variable meanTokens(const Variable&, std::span<const float>) {
    absent();
}
Variable selectRows(const Variable&, std::span<const std::int64_t>) {
    absent();
}
Tensor roundedOf(const Variable&) {
    absent();
}
Variable layerNorm(const Variable&, const Variable&, const Variable&, Readers) {
    absent();
}
Variable linear(const Variable&, const Variable&, const Variable&, Activation, Readers, const Shape&) {
    absent();
}
Residual residual(const Variable&, const Variable&, const Layer&, const Layer&) {
    absent();
}
Three linears(const Variable&, const std::array<Layer, 3>&, const Shape&, Readers) {
    absent();
}
Variable feedForward(const Variable&, const Variable&, const Layer&, const Layer&) {
    absent();
}
CrossEntropy crossEntropy(const Variable&, std::span<const std::int32_t>) {
    absent();
}
Variable rotary(const Variable&, bool) {
    absent();
}
Variable shortConvolution(const Variable&, const Variable&, const ConvolutionReach&) {
    absent();
}
Variable attend(const Variable&, const Variable&, const Variable&, const AttendOptions&) {
    absent();
}
void wholeMapAttention(const Variable&, const Variable&, const Variable&, const Variable&) {
    absent();
}
Variable featureAttention(const FeatureMap&, const Variable&, const Variable&, const Variable&,
                          const FeatureAttentionOptions&) {
    absent();
}
Variable slice(const Variable&, std::int64_t, std::int64_t) {
    absent();
}
Variable concatenate(std::span<const Variable>, const Shape&) {
    absent();
}
Variable poolSegments(const Variable&, const Variable&, const Segments&, std::span<const float>) {
    absent();
}
SegmentShares segmentShares(const Variable&, const Segments&, std::span<const float>) {
    absent();
}
Variable slotAttend(const Variable&, const Variable&, const Variable&, const Variable&, const Variable&,
                    const SlotBlocks&, const SlotKeep&) {
    absent();
}
std::span<const float> slotsKept(Arena&, std::span<const float>, std::int64_t, std::int64_t, const SlotBlocks&) {
    absent();
}
LandmarkSegments shareOut(Arena&, std::int64_t, std::int64_t, std::int64_t, std::span<const float>) {
    absent();
}
Variable segmentMeans(const Variable&, const LandmarkSegments&) {
    absent();
}
Variable landmarkInverse(const Variable&, const Variable&, const Variable&, const LandmarkSegments&, std::int64_t) {
    absent();
}
Variable landmarkAttend(const Variable&, const Variable&, const Variable&, std::span<const float>) {
    absent();
}
Variable taylorAttention(const Variable&, const Variable&, const Variable&, const FeatureAttentionOptions&) {
    absent();
}
LshChunks hashIntoChunks(Arena&, const Tensor&, std::span<const float>, const Parameter&, const LshSizes&) {
    absent();
}
Variable chunkAttend(const Variable&, const Variable&, const LshChunks&, const ChunkAttendOptions&) {
    absent();
}
Variable decayScan(const Variable&, const Variable&, const Variable&, const DecayScanOptions&) {
    absent();
}
Variable normaliseRows(const Variable&, RowNorm) {
    absent();
}
Variable keyGate(const Variable&, const Variable&, const Variable&) {
    absent();
}
Variable writingStrength(const Variable&, double) {
    absent();
}
Variable logForgetting(const Variable&) {
    absent();
}
Variable deltaRule(const Variable&, const Variable&, const Variable&, const Variable&, const Variable&) {
    absent();
}
Variable compress(std::span<Parameter* const>, const Variable&) {
    absent();
}
void adamwStep(Arena&, const DeviceParameters&, const OptimizerOptions&, const AdamwNumbers*, const Tensor&,
               const Tensor&, StepResult*) {
    absent();
}
void attentionMap(Arena&, const Snapshot&, const MapRequest&, float*, std::int64_t) {
    absent();
}
void mapTile(DeviceContext&, const MapTile&, float*) {
    absent();
}
void rowSums(DeviceContext&, const MapTile&, float*, float*) {
    absent();
}
void setUnitValues(DeviceContext&, const MapPanel&, const Tensor&) {
    absent();
}
void takeColumns(DeviceContext&, const MapPanel&, const Tensor&, bool, float*, std::int64_t) {
    absent();
}
void poolTile(DeviceContext&, const PooledTile&, float*) {
    absent();
}

}  // namespace linscope::cuda

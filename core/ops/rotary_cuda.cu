#include "core/cuda/launch.cuh"
#include "core/ops/rotary.h"

namespace linscope::cuda {
namespace {

/// out (+)= x turned by the angles of table [T,D/2,2] (cosine, sine), back with sign −1. x [B,T,H,D]
void turn(cudaStream_t stream, const Shape& s, const In& x, const float* table, float sign, Out out) {
    const std::int64_t length = s[1], heads = s[2], width = s[3], half = width / 2, places = width - half;
    // A thread for each pair, and one for the odd channel that stays.
    forEach(stream, s[0] * length * heads * places, "rotary", [=] __device__(std::int64_t i) {
        const std::int64_t c = i % places, head = i / places, at = head * width + c;
        if (c >= half) {
            out.put(at + half, x[at + half]);
            return;
        }
        const float* angle = table + (head / heads % length * half + c) * 2;
        const float cosine = angle[0], sine = sign * angle[1], a = x[at], b = x[at + half];
        out.put(at, a * cosine - b * sine);
        out.put(at + half, a * sine + b * cosine);
    });
}

}  // namespace

Variable rotary(const Variable& x, bool inverse) {
    const std::int64_t length = x.shape()[1], width = x.shape()[3], half = width / 2;
    Tape& tape = x.tape();
    const Tensor table = tape.arena().tensor({length, half > 0 ? half : 1, 2});
    const Variable y = tape.result(x.shape(), x.type(), x);
    float* angles = table.onDeviceAs<float>();
    forEach(streamOf(y), length * half, "rotary", [=] __device__(std::int64_t i) {
        const double pair = static_cast<double>(i % half), place = static_cast<double>(i / half);
        const double angle = place * pow(10000.0, -2.0 * pair / static_cast<double>(width));
        angles[2 * i] = static_cast<float>(cos(angle));
        angles[2 * i + 1] = static_cast<float>(sin(angle));
    });
    const float sign = inverse ? -1.0f : 1.0f;
    turn(streamOf(y), x.shape(), inOf(x.value()), angles, sign, outOf(y.value()));
    tape.record(y, [=] { turn(streamOf(y), x.shape(), inOf(y.gradient()), angles, -sign, outOf(x)); });
    return y;
}

}  // namespace linscope::cuda

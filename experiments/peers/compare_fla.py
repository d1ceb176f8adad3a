"""Causal linear attention on a CUDA device: Linscope beside the kernels of fla-core, forward and backward of one layer.

    PYTHON experiments/peers/compare_fla.py [--lengths 2048,16384] [--batch 8] [--heads 32] [--head-width 128]

PYTHON is an interpreter with torch, Triton and fla-core; LINSCOPE names the program. Both in bf16, elu + 1 features, rows
divided by their sums. Median ms by the device's clock: ours from `linscope bench length --device cuda`, replayed as a
graph; theirs the faster of `chunk_linear_attn` and `fused_chunk_linear_attn` as a graph of forward and backward, features
included.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

here = pathlib.Path(__file__).resolve().parent
linscope = os.environ.get("LINSCOPE", here.parent.parent / "build" / "release" / "bin" / "linscope")


def ours(lengths, batch, heads, width):
    command = [linscope, "bench", "length", "--device", "cuda", "--precision", "bf16", "--mechanism", "linear", "--lengths",
               ",".join(map(str, lengths)), "--batch", batch, "--heads", heads, "--width", heads * width, "--json"]
    report = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    curve = next(c for c in json.loads(report)["curves"] if c["form"] == "causal")
    if curve["note"]:
        raise SystemExit(f"linscope: {curve['note']}")
    return {point["length"]: point["ms"] for point in curve["points"]}


def theirs(kernel, length, batch, heads, width, rounds=30):
    import torch
    import torch.nn.functional as F

    q, k, v = (torch.randn(batch, length, heads, width, device="cuda", dtype=torch.bfloat16, requires_grad=True)
               for _ in range(3))
    upstream = torch.randn_like(v)

    def step():
        for x in (q, k, v):
            x.grad = None
        o = kernel(F.elu(q) + 1, F.elu(k) + 1, v, scale=1.0, normalize=True)
        (o[0] if isinstance(o, tuple) else o).backward(upstream)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):  # compiles and tunes
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    times = []
    for _ in range(rounds):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop))
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="2048,16384")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--head-width", type=int, default=128)
    chosen = parser.parse_args()
    import fla
    from fla.ops.linear_attn import chunk_linear_attn, fused_chunk_linear_attn

    lengths = [int(length) for length in chosen.lengths.split(",")]
    shape = chosen.batch, chosen.heads, chosen.head_width
    own = ours(lengths, *shape)
    print(f"fla-core {fla.__version__}; batch {shape[0]}, {shape[1]} heads of width {shape[2]}, bf16, causal, ms forward + backward")
    print("| tokens | Linscope | fla-core | kernel | ratio |\n|---|---|---|---|---|")
    for length in lengths:
        found = {}
        for kernel in (chunk_linear_attn, fused_chunk_linear_attn):
            try:
                found[kernel.__name__] = theirs(kernel, length, *shape)
            except Exception as error:  # a kernel that is gone or does not take this shape
                print(f"<!-- {kernel.__name__}: {error} -->")
        name = min(found, key=found.get)
        print(f"| {length} | {own[length]:.3f} | {found[name]:.3f} | {name} | {own[length] / found[name]:.2f} |", flush=True)


if __name__ == "__main__":
    main()

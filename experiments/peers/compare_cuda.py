"""A training step on a CUDA device: Linscope in bf16 beside PyTorch, memory, and the least that the card allows.

    PYTHON experiments/peers/compare_cuda.py [--shapes small,middle,4096,16384,65536] [--repeat 100]

PYTHON is an interpreter with torch; LINSCOPE names the program. One row for each shape and lane:

    ours       median ms of the device's clock, batch in, loss out (`linscope bench train-step`)
    eager, reduce-overhead, graph, compile+graph   the same model in PyTorch by the modes of cuda_peer.py
    ratio      ours over the best of them
    MB         the most memory that tensors take, ours and PyTorch's in its best mode
    floor      the larger of two times: the step's products at the rate that a product of 8192³ in bf16 reaches here, and
               the bytes that no version avoids at the bandwidth of a large copy

The bytes: 36 for each parameter (value, gradient, moments, copy in bf16), and what the backward pass needs of the
forward one, 16 numbers for each token and channel of a layer, written and read once in bf16.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
linscope = os.environ.get("LINSCOPE", here.parent.parent / "build" / "release" / "bin" / "linscope")
every = ("full", "linformer", "linear", "performer")
shapes = {
    "small": ((2, 128, 4, 512, 8, 64), every),
    "middle": ((4, 256, 4, 1024, 8, 128), every),
    "4096": ((4, 256, 4, 4096, 4, 128), every),
    "16384": ((4, 256, 4, 16384, 1, 256), every),
    "65536": ((4, 256, 4, 65536, 1, 256), ("full", "linformer")),
}
names = ("layers", "width", "heads", "length", "batch", "k")
features = 128  # of performer
every_mode = ("eager", "compile", "reduce-overhead", "graph", "compile+graph")


def run(command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return {"results": [], "error": (done.stderr or done.stdout).strip().splitlines()[-1:]}
    return json.loads(done.stdout[done.stdout.index("{"):])


def flags(shape):
    return [part for name, value in zip(names, shape) for part in (f"--{name}", value)]


def card():
    """FLOP/s of a bf16 product and byte/s of a copy on this card."""
    import torch

    def seconds(work, times=20):
        for _ in range(3):
            work()
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(times):
            work()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1e3 / times

    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    source = torch.randn(1 << 30, device="cuda")
    target = torch.empty_like(source)
    rates = 2 * 8192**3 / seconds(lambda: a @ b), 2 * source.nbytes / seconds(lambda: target.copy_(source))
    del a, b, source, target
    torch.cuda.empty_cache()
    return rates


def floor_ms(lane, shape, flops_rate, byte_rate):
    layers, width, heads, length, batch, k = shape
    tokens, inner = batch * length, width // heads
    linear = 3 * 2 * tokens * 12 * width**2
    # Products of the forward pass and the backward one: attention has 2 and 5, compression and states 2 and 4.
    attention = {
        "full": 7 * 2 * tokens * length * width,
        "linformer": (7 + 6) * 2 * tokens * k * width,
        "linear": 6 * 2 * tokens * inner * width,
        "performer": (6 + 4) * 2 * tokens * features * width,
    }[lane]
    head = 3 * 2 * round(0.15 * length) * batch * width * 257
    parameters = layers * 12 * width**2 + (length + 2 * 257) * width
    work = layers * (linear + attention) + head
    moved = 36 * parameters + layers * 16 * tokens * width * 2 * 2
    return 1e3 * max(work / flops_rate, moved / byte_rate)


def modes_of(text):
    modes = text.split(",")
    unknown = set(modes) - set(every_mode)
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(every_mode)} were required, but got {', '.join(unknown)}")
    return modes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=",".join(shapes))
    parser.add_argument("--modes", type=modes_of, default=",".join(mode for mode in every_mode if mode != "compile"))
    parser.add_argument("--repeat", type=int, default=100)
    arguments = parser.parse_args()
    rates = card()
    print(f"bf16 product {rates[0] / 1e12:.0f} TFLOP/s, copy {rates[1] / 1e12:.2f} TB/s\n")
    print(f"| shape | lane | ours | {' | '.join(arguments.modes)} | ratio | MB ours | MB PyTorch | floor |")
    print("|---" * (7 + len(arguments.modes)) + "|", flush=True)
    for chosen in arguments.shapes.split(","):
        shape, lanes = shapes[chosen]
        repeat = arguments.repeat if shape[3] < 16384 else arguments.repeat // 10 + 3
        ours = run([linscope, "bench", "train-step", "--device", "cuda", "--precision", "bf16", "--repeat", repeat,
                    "--json", *flags(shape), *(part for lane in lanes for part in ("--mechanism", lane))])
        peer = run([sys.executable, here / "cuda_peer.py", "--precision", "bf16", "--lanes", ",".join(lanes), "--modes",
                    ",".join(arguments.modes), "--repeat", repeat, *flags(shape)])
        for index, lane in enumerate(lanes):
            mine = ours["results"][index] if ours["results"] else {"device_ms": float("nan"), "memory_bytes": float("nan")}
            theirs = {row["mode"]: row for row in peer["results"] if row["lane"] == lane}
            times = {mode: row["median_ms"] for mode, row in theirs.items() if isinstance(row["median_ms"], float)}
            best = min(times, key=times.get, default=None)
            ratio = mine["device_ms"] / times[best] if best else float("nan")
            cells = [f"{times[mode]:.2f}" if mode in times else "-" for mode in arguments.modes]
            memory = f"{theirs[best]['peak_mb']:.0f}" if best else "-"
            print(f"| {', '.join(map(str, shape))} | {lane} | {mine['device_ms']:.3f} | {' | '.join(cells)} | {ratio:.2f} "
                  f"| {mine['memory_bytes'] / 1e6:.0f} | {memory} | {floor_ms(lane, shape, *rates):.3f} |", flush=True)
        for side in (ours, peer):
            if "error" in side:
                print(f"  {side['error']}", file=sys.stderr)


if __name__ == "__main__":
    main()

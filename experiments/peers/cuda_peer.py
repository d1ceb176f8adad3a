"""Time of a training step of the same models in PyTorch on a CUDA device.

    python cuda_peer.py --layers 2 --width 128 --heads 4 --length 512 --batch 8 --k 64 --precision bf16

Each lane (full, linformer, linear with elu+1 features, performer with 128 positive features) is timed eager, with
torch.compile, with torch.compile's own CUDA graphs (reduce-overhead: forward and backward are graphs, clipping and AdamW
are launched), and with the whole step captured as one CUDA graph by hand (graph), of a compiled model or not.
bf16 is autocast with fp32 weights, tf32 and fp32 are without it. AdamW is the fused one. One JSON document.
"""

import argparse
import gc
import json
import statistics

import torch
import torch.nn.functional as F
from torch import nn

from linscope_peer import encoder_of, make_optimizer


def measure(lane, mode, arguments):
    gc.collect()  # a model that was captured or compiled before lives in cycles
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    B, T, V = arguments.batch, arguments.length, 257
    count = round(0.15 * T)
    torch.manual_seed(1)
    model = encoder_of(lane, arguments, V).cuda()
    optimizer = make_optimizer(model, {"weight_decay": 0.01, "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.98,
                                       "epsilon": 1e-8})
    for group in optimizer.param_groups:
        group["capturable"] = True
    tokens = torch.randint(0, 256, (B, T), device="cuda")
    selected = torch.cat([torch.randperm(T)[:count].sort().values + b * T for b in range(B)]).cuda()
    targets = torch.randint(0, 256, (B * count,), device="cuda")

    def loss_of():
        with torch.autocast("cuda", torch.bfloat16, enabled=arguments.precision == "bf16", cache_enabled=False):
            return F.cross_entropy(model(tokens, selected), targets)

    forward = loss_of
    if "compile" in mode:
        forward = torch.compile(loss_of)
    elif mode == "reduce-overhead":
        forward = torch.compile(loss_of, mode=mode)

    def step():
        torch.compiler.cudagraph_mark_step_begin()
        optimizer.zero_grad(set_to_none=True)
        loss = forward()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
        torch.cuda.synchronize()
        run = step
        if "graph" in mode:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=stream):
                step()
            run = graph.replay
        times = []
        for _ in range(arguments.repeat):
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            run()
            stop.record()
            stop.synchronize()
            times.append(start.elapsed_time(stop))
    return statistics.median(times), (torch.cuda.max_memory_allocated() - before) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("layers", 2), ("width", 128), ("heads", 4), ("length", 512), ("batch", 8), ("k", 64),
                        ("repeat", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="bf16")
    parser.add_argument("--lanes", default="full,linformer,linear,performer")
    parser.add_argument("--modes", default="eager,compile,reduce-overhead,graph,compile+graph")
    arguments = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = arguments.precision != "fp32"
    results = []
    for lane in arguments.lanes.split(","):
        for mode in arguments.modes.split(","):
            torch._dynamo.reset()
            memory = None
            try:
                time, memory = measure(lane, mode, arguments)
                time, memory = round(time, 3), round(memory, 1)
            except Exception as error:  # a mode that cannot capture a model is told, and the others go on
                time = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
            results.append({"lane": lane, "mode": mode, "median_ms": time, "peak_mb": memory})
    print(json.dumps({"torch": torch.__version__, "device": torch.cuda.get_device_name(),
                      "precision": arguments.precision, "results": results}))


if __name__ == "__main__":
    main()

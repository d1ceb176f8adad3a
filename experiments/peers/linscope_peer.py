"""The same models in PyTorch: Linscope's initial weights, Linscope's batches, Linscope's optimizer.

    python linscope_peer.py loss CHECKPOINT BATCHES --steps 100       losses of every lane, one JSON document
    python linscope_peer.py step --layers 2 ... [--json]              time of a training step, eager and compiled

Needs torch and numpy only; the tensors of a checkpoint are read with the twenty lines below.
"""

import argparse
import json
import math
import statistics
import struct
import time
import tomllib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def read_safetensors(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    types = {"F32": np.float32, "F64": np.float64, "I32": np.int32}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[begin:end], dtype=types[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors, metadata


class Attention(nn.Module):
    def __init__(self, width, heads, projection):
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.projection = projection  # function () -> (E, F) [K,T] each, or None

    def forward(self, x):
        B, T, C = x.shape
        k, v = self.key(x), self.value(x)  # [B,T,C]
        if self.projection is not None:  # one product for all heads: E is shared by them
            E, Fp = self.projection()
            k, v = torch.matmul(E[:, :T], k), torch.matmul(Fp[:, :T], v)  # [B,K,C]
        split = lambda t: t.view(B, -1, self.heads, C // self.heads).transpose(1, 2)
        o = F.scaled_dot_product_attention(split(self.query(x)), split(k), split(v))
        return self.output(o.transpose(1, 2).reshape(B, T, C))


class KernelAttention(nn.Module):
    """Bidirectional linear attention: elu + 1 (Katharopoulos et al. 2020), or Performer's positive features."""

    def __init__(self, width, heads, directions=None):
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)
        if directions:
            self.register_buffer("omega", torch.randn(heads, directions, width // heads))
        self.directions = directions

    def features(self, x, keys):
        if not self.directions:
            return F.elu(x) + 1
        x = x * x.shape[-1] ** -0.25
        u = x @ self.omega.transpose(1, 2).to(x.dtype)
        norm = x.square().sum(-1, keepdim=True) / 2
        top = (u - norm).amax((-1, -2), keepdim=True) if keys else u.amax(-1, keepdim=True)
        return (u - norm - top).exp() if keys else (u - top).exp()

    def forward(self, x):
        B, T, C = x.shape
        split = lambda t: t.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        q, k = self.features(split(self.query(x)), False), self.features(split(self.key(x)), True)
        state = k.transpose(2, 3) @ split(self.value(x))  # [B,H,M,D]
        o = (q @ state) / (q @ k.sum(2).unsqueeze(-1))
        return self.output(o.transpose(1, 2).reshape(B, T, C))


class Block(nn.Module):
    def __init__(self, width, heads, ratio, projection):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, projection)
        self.up, self.down = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Encoder(nn.Module):
    """Linformer with sharing "layerwise" where `slots` is given, else full attention."""

    def __init__(self, layers, width, heads, length, vocabulary, slots=None, ratio=4):
        super().__init__()
        self.E = nn.Parameter(torch.randn(slots, length) / math.sqrt(slots)) if slots else None
        projection = (lambda: (self.E, self.E)) if slots else None
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Parameter(torch.zeros(length, width))
        self.blocks = nn.ModuleList(Block(width, heads, ratio, projection) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens, selected):
        x = self.token(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x.flatten(0, 1)[selected]))


PERFORMER_FEATURES = 128  # as Linscope has them by default


def encoder_of(lane, sizes, vocabulary):
    """`lane`: full, linformer, linear (elu + 1) or performer."""
    model = Encoder(sizes.layers, sizes.width, sizes.heads, sizes.length, vocabulary,
                    sizes.k if lane == "linformer" else None)
    if lane in ("linear", "performer"):
        for block in model.blocks:
            block.attention = KernelAttention(sizes.width, sizes.heads,
                                              PERFORMER_FEATURES if lane == "performer" else None)
    return model


def linscope_name(name):
    """PyTorch's name of a parameter -> Linscope's."""
    for ours, theirs in (("token.weight", "embedding.token"), ("position", "embedding.position"), ("E", "attention.E")):
        if name == ours:
            return theirs
    return name.replace(".up.", ".mlp.up.").replace(".down.", ".mlp.down.")


def make_optimizer(model, options):
    """AdamW; weight decay on the matrices of linear layers only, as in Linscope."""
    decayed = [p for n, p in model.named_parameters() if n.endswith("weight") and p.ndim == 2 and "token" not in n]
    chosen = {id(p) for p in decayed}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    groups = [{"params": decayed, "weight_decay": options["weight_decay"]}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options["learning_rate"], betas=(options["beta1"], options["beta2"]),
                             eps=options["epsilon"], fused=True)


def rate(options, step, steps):
    peak, warmup, final = options["learning_rate"], options["warmup"], options["final_fraction"]
    if step <= warmup:
        return peak * step / warmup
    if options["schedule"] == "constant":
        return peak
    progress = min(1.0, (step - warmup) / max(steps - warmup, 1))
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))


def losses(arguments):
    tensors, metadata = read_safetensors(arguments.checkpoint)
    batches, _ = read_safetensors(arguments.batches)
    experiment = tomllib.loads(metadata["experiment"])
    model_options, options = experiment["model"], experiment["optimizer"]
    result = []
    for index, lane in enumerate(experiment["lane"]):
        prefix = f"lane{index}/"
        slots = tensors[prefix + "attention.E"].shape[0] if prefix + "attention.E" in tensors else None
        vocabulary = tensors[prefix + "head.weight"].shape[0]
        model = Encoder(model_options["layers"], model_options["width"], model_options["heads"],
                        experiment["task"]["length"], vocabulary, slots, model_options["mlp_ratio"])
        state = {name: tensors[prefix + linscope_name(name)] for name in model.state_dict()}
        model.load_state_dict(state)
        optimizer = make_optimizer(model, options)
        values = []
        for step in range(1, arguments.steps + 1):
            for group in optimizer.param_groups:
                group["lr"] = rate(options, step, experiment["steps"])
            tokens, selected, targets = (batches[f"{step}/{part}"].long() for part in ("tokens", "selected", "targets"))
            loss = F.cross_entropy(model(tokens, selected), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if options["clip"] > 0:
                nn.utils.clip_grad_norm_(model.parameters(), options["clip"])
            optimizer.step()
            values.append(loss.item())
        result.append({"lane": lane["name"], "loss": values})
    print(json.dumps({"lanes": result, "torch": torch.__version__, "threads": torch.get_num_threads()}))


def time_step(arguments):
    """Median milliseconds of one step, eager and compiled, of every lane; steps of all of them alternate."""
    torch.manual_seed(1)
    B, T, V = arguments.batch, arguments.length, 257
    count = round(0.15 * T)
    runs = []
    for lane in arguments.lanes.split(","):
        for mode in ("eager", "compile"):
            model = encoder_of(lane, arguments, V)
            optimizer = make_optimizer(model, {"weight_decay": 0.01, "learning_rate": 1e-3, "beta1": 0.9,
                                               "beta2": 0.98, "epsilon": 1e-8})
            def forward(tokens, selected, targets, model=model):
                return F.cross_entropy(model(tokens, selected), targets)
            if mode == "compile":
                forward = torch.compile(forward)
            runs.append({"lane": lane, "mode": mode, "model": model, "optimizer": optimizer, "forward": forward, "ms": []})
    for repeat in range(arguments.warmup + arguments.repeat):
        tokens = torch.randint(0, 256, (B, T))
        selected = torch.cat([torch.randperm(T)[:count].sort().values + b * T for b in range(B)])
        targets = torch.randint(0, 256, (B * count,))
        for run in runs:
            start = time.perf_counter()
            loss = run["forward"](tokens, selected, targets)
            run["optimizer"].zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(run["model"].parameters(), 1.0)
            run["optimizer"].step()
            loss.item()
            if repeat >= arguments.warmup:
                run["ms"].append((time.perf_counter() - start) * 1e3)
    results = [{"lane": r["lane"], "mode": r["mode"], "median_ms": statistics.median(r["ms"])} for r in runs]
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "results": results}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    commands = parser.add_subparsers(required=True)
    loss = commands.add_parser("loss")
    loss.add_argument("checkpoint")
    loss.add_argument("batches")
    loss.add_argument("--steps", type=int, default=100)
    loss.set_defaults(run=losses)
    step = commands.add_parser("step")
    for name, value in (("layers", 2), ("width", 128), ("heads", 4), ("length", 512), ("batch", 8), ("k", 64),
                        ("repeat", 15), ("warmup", 3)):
        step.add_argument(f"--{name}", type=int, default=value)
    step.add_argument("--lanes", default="full,linformer,linear,performer")
    step.set_defaults(run=time_step)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.run(arguments)


if __name__ == "__main__":
    main()

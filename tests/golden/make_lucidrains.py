"""Writes linformer.json and performer.json: outputs and gradients of lucidrains' implementations, in double.

    pip install torch einops local-attention axial-positional-embedding
    pip install --no-deps linformer==0.2.3 performer-pytorch==1.1.4
    python tests/golden/make_lucidrains.py

Where they differ from the definition here, the case avoids the difference; lucidrains_golden_test.cpp says how.
"""

import json
import pathlib

import torch
from linformer import LinformerSelfAttention
from performer_pytorch import performer_pytorch as peer

FOLDER = pathlib.Path(__file__).parent
HEADS, WIDTH = 2, 4
torch.set_default_dtype(torch.float64)


def drawn(generator, *shape):
    """Standard normal with three decimals, which a file holds exactly and briefly."""
    return (torch.randn(*shape, generator=generator) * 1000).round() / 1000


def numbers(x):
    return [float(f"{v:.12g}") for v in x.detach().flatten().tolist()]


def case(mechanism, options, tensors, parameters, o, *, trained=None, causal=False, **more):
    """`parameters`: name here -> the peer's tensor; a gradient is written where it has one. All [B,T,H,D]."""
    q = tensors["q"]
    upstream = tensors.pop("upstream")
    o.backward(upstream)
    gradients = {name: numbers(x.grad) for name, x in parameters.items() if x.grad is not None}
    return {
        "mechanism": mechanism, "options": options, "causal": causal, "batch": q.shape[0], "length": q.shape[1],
        "trained": trained or q.shape[1], "heads": HEADS, "width": WIDTH,
        **{name: numbers(x) for name, x in tensors.items()}, "upstream": numbers(upstream), "o": numbers(o),
        **{"d" + name: numbers(x.grad) for name, x in tensors.items()},
        "parameters": {name: numbers(x) for name, x in parameters.items()}, "gradients": gradients, **more,
    }  # fmt: skip


def inputs(generator, batch, length, names=("q", "k", "v")):
    tensors = {name: drawn(generator, batch, length, HEADS, WIDTH).requires_grad_() for name in names}
    return {**tensors, "upstream": drawn(generator, batch, length, HEADS, WIDTH)}


class Given(torch.nn.Module):
    """In place of a linear layer: what it would have given."""

    def __init__(self, x):
        super().__init__()
        self.x = x.flatten(2)

    def forward(self, _):
        return self.x


def linformer(generator):
    cases = []
    trained, slots = 18, 5
    for length, tied, padded in ((trained, False, False), (13, False, False), (trained, True, False),
                                 (trained, False, True)):  # fmt: skip
        x = inputs(generator, 1, length, ("q", "k") if tied else ("q", "k", "v"))
        module = LinformerSelfAttention(HEADS * WIDTH, trained, k=slots, heads=HEADS, share_kv=tied)
        names = {"E": "proj_k"} if tied else {"E": "proj_k", "F": "proj_v"}
        # [K,T] here, [T,K] there: the leaves are ours.
        matrices = {name: drawn(generator, slots, trained).requires_grad_() for name in names}
        for name, attribute in names.items():
            delattr(module, attribute)
            setattr(module, attribute, matrices[name].t())
        keep = torch.tensor([[float(t % 5 != 3) for t in range(length)]])
        kept = keep[..., None, None] if padded else 1.0
        module.to_q, module.to_k, module.to_out = Given(x["q"]), Given(x["k"] * kept), torch.nn.Identity()
        if not tied:
            module.to_v = Given(x["v"] * kept)
        o = module(x["q"].flatten(2)).reshape(x["q"].shape)
        options = {"k": slots, "sharing": "key_value" if tied else "headwise"}
        parameters = {f"attention.layer0.{name}": matrix for name, matrix in matrices.items()}
        more = {"keep": keep.int().flatten().tolist()} if padded else {}
        cases.append(case("linformer", options, x, parameters, o, trained=trained, **more))
    return cases


def performer(generator):
    cases = []
    length, directions = 18, 7
    for features, causal, padded in (("positive", False, False), ("positive", True, False), ("relu", False, False),
                                     ("relu", True, False), ("positive", False, True)):  # fmt: skip
        x = inputs(generator, 1, length)
        omega = drawn(generator, directions, WIDTH)
        keep = torch.tensor([[t % 5 != 3 for t in range(length)]])
        q, k, v = (x[name].transpose(1, 2) for name in ("q", "k", "v"))
        if padded:  # it sees the kept keys alone
            k, v = (y[:, :, keep[0]] for y in (k, v))
        if features == "relu":
            phi = [peer.generalized_kernel(y, projection_matrix=omega) for y in (q, k)]
        else:
            phi = [peer.softmax_kernel(y, projection_matrix=omega, is_query=query, eps=0.0)
                   for y, query in ((q, True), (k, False))]  # fmt: skip
        if causal:
            o = peer.causal_linear_attention_noncuda(*phi, v, chunk_size=4, eps=0.0)
        else:
            o = peer.linear_attention(*phi, v)
        options = {"features": features, "m": directions}
        parameters = {f"attention.layer0.head{head}.omega": omega for head in range(HEADS)}
        more = {"keep": keep.int().flatten().tolist()} if padded else {}
        cases.append(case("performer", options, x, parameters, o.transpose(1, 2), causal=causal, **more))
    return cases


def defects(generator):
    """What the two differences that the cases avoid make of an output, relative RMS: for README.md."""
    q, k, v = (drawn(generator, 1, HEADS, 64, 64) for _ in range(3))
    omega = peer.gaussian_orthogonal_random_matrix(256, 64)

    def attention(eps, keep=slice(None), values=v):
        phi = [peer.softmax_kernel(y, projection_matrix=omega, is_query=query, eps=eps)
               for y, query in ((q, True), (k[:, :, keep], False))]  # fmt: skip
        return peer.linear_attention(*phi, values[:, :, keep])

    def error(a, b):
        return ((a - b).square().mean() / b.square().mean()).sqrt().item()

    mask = torch.arange(64) < 32
    masked = v * mask[:, None]  # as its SelfAttention masks: values alone
    print(f"performer-pytorch, 64 tokens of width 64, 256 features: eps = 1e-4 instead of 0 changes the output by "
          f"{error(attention(1e-4), attention(0.0)):.2g}; half of the keys padded, values alone masked: by "
          f"{error(attention(0.0, values=masked), attention(0.0, keep=mask)):.2g}")  # fmt: skip


for seed, make in enumerate((linformer, performer)):
    text = json.dumps(make(torch.Generator().manual_seed(seed)), separators=(",", ":"))
    (FOLDER / f"{make.__name__}.json").write_text(text.replace('],"', '],\n"') + "\n")
torch.manual_seed(0)
defects(torch.Generator().manual_seed(2))

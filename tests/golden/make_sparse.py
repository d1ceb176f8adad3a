"""Writes window.json, nystrom.json and reformer.json: outputs and gradients of other implementations, in double.

    pip install torch einops local-attention==1.11.2 nystrom-attention==0.0.14 reformer-pytorch==1.4.4 \
                axial-positional-embedding product-key-memory
    python tests/golden/make_sparse.py

Where another implementation differs from the definition here, the case avoids the difference, or leaves out the queries
that it touches; the folders' README.md say which differences there are.
"""

import json
import pathlib

import torch
from local_attention import LocalAttention
from nystrom_attention import NystromAttention
from reformer_pytorch import LSHAttention

FOLDER = pathlib.Path(__file__).parent
torch.set_default_dtype(torch.float64)


def drawn(generator, *shape):
    """Standard normal with three decimals, which a file holds exactly and briefly."""
    return (torch.randn(*shape, generator=generator) * 1000).round() / 1000


def leaves(generator, *shape):
    return [drawn(generator, *shape).requires_grad_() for _ in range(3)], drawn(generator, *shape)


def numbers(x):
    """[B,H,T,D] as [B,T,H,D], flat."""
    return [float(f"{v:.12g}") for v in x.detach().transpose(1, 2).flatten().tolist()]


def case(mechanism, options, causal, q, k, v, upstream, o, **more):
    o.backward(upstream)
    batch, heads, length, width = q.shape
    zero = torch.zeros_like(q)
    return {
        "mechanism": mechanism, "options": options, "causal": causal,
        "batch": batch, "length": length, "heads": heads, "width": width,
        "q": numbers(q), "k": numbers(k), "v": numbers(v), "upstream": numbers(upstream), "o": numbers(o),
        "dq": numbers(q.grad), "dk": numbers(zero if k.grad is None else k.grad), "dv": numbers(v.grad), **more,
    }  # fmt: skip


def window(generator):
    cases = []
    for causal in (False, True):
        for padded in (False, True):
            (q, k, v), upstream = leaves(generator, 1, 2, 20, 6)
            peer = LocalAttention(window_size=4, causal=causal, look_backward=1, look_forward=0 if causal else 1,
                                  exact_windowsize=True, use_rotary_pos_emb=False)  # fmt: skip
            keep = torch.tensor([[t < 2 or t % 5 != 3 for t in range(20)]])
            o = peer(q, k, v, mask=keep if padded else None)
            more = {"keep": keep.int().flatten().tolist()} if padded else {}
            # Its window of 4 reaches 4 places back, so that 5 keys are seen.
            cases.append(case("window", {"window": 5}, causal, q, k, v, upstream, o, **more))
    return cases


def nystrom(generator):
    cases = []
    # One head of one sample: its norm is the greatest of all heads and samples. A length that divides: otherwise it pads.
    for landmarks, iterations in ((8, 6), (4, 6), (24, 3)):
        (q, k, v), upstream = leaves(generator, 1, 1, 24, 8)
        peer = NystromAttention(dim=8, dim_head=8, heads=1, num_landmarks=landmarks, pinv_iterations=iterations,
                                residual=False)  # fmt: skip
        peer.to_qkv = peer.to_out = torch.nn.Identity()
        o = peer(torch.cat([q[:, 0], k[:, 0], v[:, 0]], dim=-1))[:, None]
        options = {"landmarks": landmarks, "iterations": iterations}
        cases.append(case("nystrom", options, False, q, k, v, upstream, o))
    return cases


def reformer(generator):
    cases = []
    length, chunk, width = 48, 6, 8
    buckets = length // chunk
    for rounds, duplicates in ((1, "allow"), (3, "allow"), (3, "count")):
        (q, k, v), upstream = leaves(generator, 1, 1, length, width)
        rotations = drawn(generator, 1, width, rounds, buckets // 2)
        peer = LSHAttention(bucket_size=chunk, n_hashes=rounds, allow_duplicate_attention=duplicates == "allow")
        normal, torch.randn = torch.randn, lambda *shape, **_: rotations
        try:
            o, _, hashes = peer(q[:, 0], v[:, 0])
        finally:
            torch.randn = normal
        # Its first chunk of a round looks back to the last one of the round before: those queries are left out.
        rows = torch.ones(length, dtype=torch.bool)
        for r in range(rounds):
            place = hashes.reshape(rounds, length)[r] * length + torch.arange(length)
            rows[place.argsort()[:chunk]] = False
        upstream = upstream * rows[None, None, :, None]
        # To a count of duplicates it adds 1e-9: hence the bound.
        options = {"rounds": rounds, "buckets": buckets, "chunk": chunk, "duplicates": duplicates}
        ours = rotations.permute(0, 2, 1, 3).flatten().tolist()  # [H,rounds,D,directions]
        cases.append(case("reformer", options, False, q, k, v, upstream, o[:, None], rotations=ours,
                          rows=rows.int().tolist(), bound=1e-10 if duplicates == "allow" else 1e-8))  # fmt: skip
    return cases


for seed, make in enumerate((window, nystrom, reformer)):
    text = json.dumps(make(torch.Generator().manual_seed(seed)), separators=(",", ":"))
    (FOLDER / f"{make.__name__}.json").write_text(text + "\n")

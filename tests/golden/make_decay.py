#!/usr/bin/env python3
"""Writes decay.json: what fla-core's naive recurrences give for retention and for the gated delta rule, with gradients.

    python3 -m venv ENV && ENV/bin/pip install torch einops && ENV/bin/pip install --no-deps fla-core==0.6.0
    ENV/bin/python tests/golden/make_decay.py

fla-core's functions work in single precision, and so the numbers are good to about 1e-6.
"""

import json
import math
import pathlib

import torch
from fla.ops.gated_delta_rule.naive import naive_recurrent_gated_delta_rule
from fla.ops.retention.naive import naive_retention

B, T, H, D = 1, 67, 2, 4  # more than one chunk of 64, with a rest


def draw(generator, *shape, factor=1.0):
    """Three decimals, so that the file holds them exactly."""
    return torch.round(torch.randn(*shape, generator=generator) * factor * 1000) / 1000


def numbers(x, digits=7):
    return [float(f"{value:.{digits}g}") for value in x.detach().flatten().tolist()]


def results(o, upstream, inputs):
    gradients = torch.autograd.grad((o * upstream).sum(), list(inputs.values()), retain_graph=True)
    return {"o": numbers(o), **{"d" + name: numbers(g) for name, g in zip(inputs, gradients)}}


def unit(x):
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def rms(x):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)


def main():
    generator = torch.Generator().manual_seed(1)
    tensors = {name: draw(generator, B, T, H, D).requires_grad_() for name in ("q", "k", "v")}
    upstream = draw(generator, B, T, H, D)
    gates = {
        "beta.weight": draw(generator, H, D),
        "beta.bias": draw(generator, H),
        "alpha.weight": draw(generator, H, D),
        "alpha.bias": draw(generator, H) + 2,
    }
    for gate in gates.values():
        gate.requires_grad_()
    q, k, v = tensors.values()

    # naive_retention wants [B,H,T,D] and has the decays 1 - 2^(-5-h) built in.
    retained = naive_retention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)

    beta = torch.sigmoid((k * gates["beta.weight"]).sum(-1) + gates["beta.bias"])
    log_alpha = torch.nn.functional.logsigmoid((k * gates["alpha.weight"]).sum(-1) + gates["alpha.bias"])
    delta, _ = naive_recurrent_gated_delta_rule(unit(q), unit(k), v, beta, log_alpha, scale=1 / math.sqrt(D))
    plain, _ = naive_recurrent_gated_delta_rule(
        unit(q), unit(k), v, 2 * beta, torch.zeros_like(beta), scale=1 / math.sqrt(D))
    betas = {name: gate for name, gate in gates.items() if name.startswith("beta")}

    golden = {
        "sizes": {"batch": B, "length": T, "heads": H, "width": D},
        "inputs": {name: numbers(x) for name, x in {**tensors, "upstream": upstream, **gates}.items()},
        "retention": results(retained, upstream, tensors),
        "gated_delta": results(rms(delta), upstream, {**tensors, **gates}),
        "delta, beta_max 2, not normalised": results(plain, upstream, {**tensors, **betas}),
    }
    target = pathlib.Path(__file__).with_name("decay.json")
    target.write_text(json.dumps(golden, separators=(",", ":")).replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    main()

"""Draws what `linscope bench length --json` printed: plot.py COST.json OUT.png (needs matplotlib)"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main(source, target):
    with open(source) as file:
        bench = json.load(file)
    colours = plt.get_cmap("tab20").colors
    names = list(dict.fromkeys(curve["mechanism"] for curve in bench["curves"]))
    figure, axes = plt.subplots(figsize=(8, 6), dpi=120, layout="constrained")
    for curve in bench["curves"]:
        points = curve["points"]
        causal = curve["form"] == "causal"
        axes.plot([point["length"] for point in points], [point["ms"] for point in points],
                  "--" if causal else "-", marker="o", markersize=3, color=colours[names.index(curve["mechanism"])],
                  label=f"{curve['mechanism']}{', causal' if causal else ''}: T^{curve['exponent']:.2f}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("length T, tokens")
    axes.set_ylabel("one layer, forward and backward, ms")
    axes.set_title(f"Cost against length: width {bench['width']}, {bench['heads']} heads, one sequence")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize=8, ncols=2, frameon=False)
    figure.savefig(target)


main(*sys.argv[1:])

"""Draws accuracy against state from what `sweep.py state` wrote; needs matplotlib, which Linscope itself does not.

    python3 experiments/mqar/plot.py runs/mqar/state.json state.png
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

rows = json.load(open(sys.argv[1]))
figure, axes = plt.subplots(figsize=(6, 4))
for lane in dict.fromkeys(row["lane"] for row in rows):
    points = sorted((row["state"], row["accuracy"]) for row in rows if row["lane"] == lane)
    axes.plot(*zip(*points), marker="o", label=lane)
axes.set_xscale("log", base=2)
axes.set_ylim(0, 1.02)
axes.set_xlabel("numbers of state in the layer")
axes.set_ylabel("accuracy of recall")
axes.set_title("MQAR: 8 pairs in 128 tokens, one layer of width 64")
axes.grid(alpha=0.3)
axes.legend()
figure.tight_layout()
figure.savefig(sys.argv[2], dpi=120)

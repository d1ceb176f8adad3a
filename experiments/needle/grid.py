"""Evaluates a trained needle run at every depth and several lengths: one table for each lane.

    python3 experiments/needle/grid.py RUN.h5 [--lengths 32 64 128 256] [--batches 20] [--plot grid.png]

`linscope eval` asks the same weights; lengths above the run's own show how a lane goes on where it was not trained.
Standard library only, but for --plot, which needs matplotlib.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from program import answer  # noqa: E402

DEPTHS = [0, 0.25, 0.5, 0.75, 1]


def cell(run, length, depth, batches):
    known = answer("eval", run, "--batches", batches, "--set", f"task.length={length}", "--set",
                   f"task.depth={depth}")
    return {lane["lane"]: lane["accuracy"] for lane in known["lanes"]}


def plot(grid, lengths, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, len(grid), figsize=(2.6 * len(grid), 3), sharey=True, layout="constrained")
    for axis, (lane, rows) in zip(axes, grid.items()):
        image = axis.imshow(rows, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        axis.set_title(lane, fontsize=10)
        axis.set_xticks(range(len(lengths)), lengths)
        axis.set_yticks(range(len(DEPTHS)), [f"{depth:.0%}" for depth in DEPTHS])
        axis.set_xlabel("length, bytes")
        for y, row in enumerate(rows):
            for x, value in enumerate(row):
                axis.text(x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=8,
                          color="white" if value < 0.55 else "black")
    axes[0].set_ylabel("depth of the needle")
    figure.colorbar(image, ax=axes, label="accuracy", shrink=0.9)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--plot", type=pathlib.Path)
    arguments = parser.parse_args()
    grid = {}
    for depth in DEPTHS:
        for length in arguments.lengths:
            for lane, accuracy in cell(arguments.run, length, depth, arguments.batches).items():
                grid.setdefault(lane, [[] for _ in DEPTHS])[DEPTHS.index(depth)].append(accuracy)
    for lane, rows in grid.items():
        print(f"\n| {lane} | " + " | ".join(f"{length} bytes" for length in arguments.lengths) + " |")
        print("|---" * (len(arguments.lengths) + 1) + "|")
        for depth, row in zip(DEPTHS, rows):
            print(f"| depth {depth:.0%} | " + " | ".join(f"{100 * value:.1f} %" for value in row) + " |")
    if arguments.plot:
        plot(grid, arguments.lengths, arguments.plot)


main()

"""Trains the experiment beside this file over numbers of pairs, or over sizes of state, and prints the table of README.md.

    python3 experiments/mqar/sweep.py pairs [--out FOLDER]    4, 8, 16 and 32 pairs
    python3 experiments/mqar/sweep.py state [--out FOLDER] [--heads 1 2 4 8]    8 pairs; windows 64, 16, 32 and 8

Run files that are finished already are not trained again. Standard library only.
"""

import argparse
import json
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent))
from program import trained  # noqa: E402

LENGTH, WIDTH = 128, 64


def accuracies(known):
    return {lane["name"]: lane["metrics"]["validation_accuracy"]["last"] for lane in known["lanes"]}


def state(name, heads, window):
    """Numbers that one layer keeps of a sequence in decoding (`linscope bench decode` prints bytes, four a number)."""
    D = WIDTH // heads
    return {"full": 2 * LENGTH * WIDTH, "window": 2 * window * WIDTH, "linear": heads * D * (D + 1) + heads,
            "retention": heads * D * D, "gated delta": heads * D * D}[name]


def pairs(folder):
    counts = (4, 8, 16, 32)
    found = {n: trained(folder / f"pairs-{n}.h5", here / "experiment.toml", [f"task.pairs={n}"]) for n in counts}
    print("| lane | " + " | ".join(f"{n} pairs" for n in counts) + " |\n|---|" + "---|" * len(counts))
    for name in accuracies(found[8]):
        print(f"| {name} | " + " | ".join(f"{100 * accuracies(found[n])[name]:.1f} %" for n in counts) + " |")
    best = {n: max(b["value"] for b in found[n]["baselines"] if b["metric"] == "validation_accuracy") for n in counts}
    print("| *best line without recall* | " + " | ".join(f"{100 * best[n]:.1f} %" for n in counts) + " |")


def states(folder, heads):
    rows = []
    for count in heads:
        window = {1: 64, 2: 16, 4: 32, 8: 8}[count]
        sets = ["task.pairs=8", f"model.heads={count}", f"lane.1.name=window {window}", f"lane.1.attention.window={window}"]
        for lane, accuracy in accuracies(trained(folder / f"state-{count}.h5", here / "experiment.toml", sets)).items():
            name = "window" if lane.startswith("window") else lane
            rows.append({"lane": name, "heads": count, "window": window if name == "window" else None,
                         "state": state(name, count, window), "accuracy": accuracy})
    (folder / "state.json").write_text(json.dumps(rows, indent=1))
    rows.sort(key=lambda row: (row["lane"], -row["state"]))
    print("| lane | numbers of state | setting | accuracy |\n|---|---|---|---|")
    for row in rows:
        setting = f"window {row['window']}, " if row["window"] else ""
        print(f"| {row['lane']} | {row['state']} | {setting}heads {row['heads']} | {100 * row['accuracy']:.1f} % |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pairs", "state"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/mqar"))
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 2, 4, 8], choices=(1, 2, 4, 8))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.what == "pairs":
        pairs(arguments.out)
    else:
        states(arguments.out, arguments.heads)


main()

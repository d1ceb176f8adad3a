"""Trains an experiment with several seeds and prints every lane's last held-out accuracy as mean and 95 % t-interval.

    python3 experiments/mail_classes/seeds.py FOLDER [--seeds 3] [--out RUNS] [--set KEY=VALUE]...

FOLDER has one sub-folder of text files for each class. Run files that are there already are read, not trained again.
The interval is over seeds (initial weights and batches); the held-out files are the same for all. Standard library only.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
# Student's t, 97.5 %, by degrees of freedom.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def linscope():
    """$LINSCOPE, or the newest program that is built here."""
    built = [root / "build" / preset / "bin" / "linscope" for preset in ("release", "server")]
    built = sorted((p for p in built if p.exists()), key=lambda p: -p.stat().st_mtime)
    return os.environ.get("LINSCOPE") or str(built[0])


def trained(run, folder, seed, sets):
    if not run.exists():
        command = [linscope(), "train", here / "experiment.toml", "--out", run]
        for value in (f"task.path={folder}", f"seed={seed}", *sets):
            command += ["--set", value]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    known = json.loads(subprocess.run([linscope(), "info", run, "--json"], check=True, capture_output=True, text=True).stdout)
    if known["step"] != known["steps"]:
        raise SystemExit(f"[seeds] {run} was required to be finished, but stands at step {known['step']}; remove it")
    return known


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=3, choices=range(2, 11))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/mail_classes"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    runs = [trained(arguments.out / f"seed-{seed}.h5", arguments.folder, seed, arguments.set)
            for seed in range(1, arguments.seeds + 1)]
    for line in runs[0]["baselines"]:
        print(f"{line['metric']}: {line['name']} {line['value']:.4f}")
    print("\n| lane | accuracy | each seed | ms a step |\n|---|---|---|---|")
    for i, lane in enumerate(runs[0]["lanes"]):
        metrics = [run["lanes"][i]["metrics"] for run in runs]
        values = [100 * m["validation_accuracy"]["last"] for m in metrics]
        half = T[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
        each = ", ".join(f"{v:.1f}" for v in values)
        step = statistics.median(m["step_milliseconds"]["last"] for m in metrics)
        print(f"| {lane['name']} | {statistics.mean(values):.1f} ± {half:.1f} % | {each} | {step:.0f} |")


main()

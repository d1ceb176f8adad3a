"""Trains an experiment with several seeds and prints every lane's last held-out accuracy as mean and 95 % t-interval.

    python3 experiments/seeds.py EXPERIMENT.toml [--seeds 3] [--out RUNS] [--set KEY=VALUE]...

Run files that are there already are read, not trained again. RUNS is a folder of its own for each experiment.
The interval is over seeds (initial weights and batches); the held-out files are the same for all. Standard library only.
"""

import argparse
import pathlib
import statistics

from program import trained

# Student's t, 97.5 %, by degrees of freedom.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=3, choices=range(2, 11))
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    arguments.out = arguments.out or pathlib.Path("runs") / arguments.experiment.resolve().parent.name
    arguments.out.mkdir(parents=True, exist_ok=True)
    runs = [trained(arguments.out / f"seed-{seed}.h5", arguments.experiment, [f"seed={seed}", *arguments.set])
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

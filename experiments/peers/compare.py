"""Runs Linscope and PyTorch side by side and prints what experiments/peers/README.md states.

    PYTHON experiments/peers/compare.py loss      losses of 100 steps of first_light without its convolution, both lanes
    PYTHON experiments/peers/compare.py step      median time of a training step, four lanes, three shapes;
                                                  `step 4096`: only the shape of this length

PYTHON is an interpreter with torch (README.md says how to make one); standard library only here.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
sys.path.insert(0, str(here.parent))
from program import linscope  # noqa: E402

peer = [sys.executable, str(here / "linscope_peer.py")]
shapes = [
    {"layers": 2, "width": 128, "heads": 4, "length": 512, "batch": 8, "k": 64},
    {"layers": 4, "width": 128, "heads": 4, "length": 1024, "batch": 4, "k": 64},
    {"layers": 4, "width": 128, "heads": 4, "length": 4096, "batch": 1, "k": 64},
]
lanes = ["full", "linformer", "linear", "performer"]


def output(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def logged_losses(run):
    script = ("import h5py, json, sys; f = h5py.File(sys.argv[1], 'r');"
              "print(json.dumps([f['lanes'][i]['metrics/loss'][()].tolist() for i in sorted(f['lanes'], key=int)]))")
    return json.loads(output(["/usr/bin/python3", "-c", script, str(run)]))


def compare_losses(steps=100):
    experiment = root / "experiments" / "first_light" / "experiment.toml"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run, batches = folder / "run.h5", folder / "batches.safetensors"
        # The schedule stays that of the whole experiment; `train` stops because the copy asks for fewer steps.
        # The peer has neither a short convolution nor other positions than learned ones.
        plain = ["model.short_convolution=0", "model.position=learned", "optimizer.learning_rate=1e-3",
                 "optimizer.warmup=50", "optimizer.schedule=constant"]
        plain = [word for value in plain for word in ("--set", value)]
        subprocess.run([linscope(), "train", experiment, *plain, "--steps", str(steps), "--out", run], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run([linscope(), "batches", experiment, "--count", str(steps), "--out", batches], check=True,
                       stdout=subprocess.DEVNULL)
        ours = logged_losses(run)
        checkpoint = folder / "run.checkpoints" / "step-000000.safetensors"
        theirs = json.loads(output(peer + ["loss", str(checkpoint), str(batches), "--steps", str(steps)]))
    worst = 0.0
    for lane, values in zip(theirs["lanes"], ours):
        errors = [abs(a - b) / abs(b) for a, b in zip(values, lane["loss"])]
        worst = max(worst, *errors)
        print(f"{lane['lane']:16} step {steps}: Linscope {values[-1]:.6f}, PyTorch {lane['loss'][-1]:.6f}; "
              f"largest relative difference of {len(errors)} steps {max(errors):.2e}")
    print(f"torch {theirs['torch']}; bound 1e-3: {'held' if worst < 1e-3 else 'BROKEN'}")
    return worst < 1e-3


def compare_steps(length=None, rounds=2):
    print(f"{'shape':28}{'lane':>12}{'Linscope':>10}{'eager':>10}{'compile':>10}{'ours/best':>11}   median ms, 2 threads")
    held = True
    for shape in shapes:
        if length and shape["length"] != int(length):
            continue
        flags = [text for name, value in shape.items() for text in (f"--{name}", str(value))]
        mechanisms = [text for lane in lanes for text in ("--mechanism", lane)]
        ours, theirs = {}, {}
        for _ in range(rounds):  # in turns, so that a machine that slows down slows both
            report = output([linscope(), "bench", "train-step", *flags, *mechanisms, "--threads", "2", "--json"])
            for entry in json.loads(report)["results"]:
                ours.setdefault(entry["lane"].split()[0], []).append(entry["median_ms"])
            for entry in json.loads(output(peer + ["step", *flags, "--lanes", ",".join(lanes)]))["results"]:
                theirs.setdefault((entry["lane"], entry["mode"]), []).append(entry["median_ms"])
        middle = lambda values: sorted(values)[len(values) // 2]
        for lane in lanes:
            mine, eager, compiled = middle(ours[lane]), middle(theirs[lane, "eager"]), middle(theirs[lane, "compile"])
            ratio = mine / min(eager, compiled)
            held = held and ratio <= 1
            name = "({layers}, {width}, {heads}, {length}, {batch}, k {k})".format(**shape)
            print(f"{name:28}{lane:>12}{mine:10.1f}{eager:10.1f}{compiled:10.1f}{ratio:11.2f}")
    return held


if __name__ == "__main__":
    chosen = {"loss": compare_losses, "step": compare_steps}.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if chosen is None:
        sys.exit(__doc__)
    sys.exit(0 if chosen(*sys.argv[2:]) else 1)

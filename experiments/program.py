"""The linscope program, for the scripts of experiments: standard library only."""

import json
import os
import pathlib
import subprocess

root = pathlib.Path(__file__).resolve().parent.parent


def linscope():
    """$LINSCOPE, or the newest program that is built here."""
    built = [root / "build" / preset / "bin" / "linscope" for preset in ("release", "server")]
    built = sorted((p for p in built if p.exists()), key=lambda p: -p.stat().st_mtime)
    chosen = os.environ.get("LINSCOPE") or (str(built[0]) if built else None)
    if chosen is None:
        raise SystemExit("[linscope] a program was expected in build/release/bin, but none is built; run ./dev build")
    return chosen


def answer(*arguments):
    """What a command says with --json."""
    command = [linscope(), *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def trained(run, experiment, sets):
    """`linscope info` of the run, which is trained unless it is there and finished."""
    if not run.exists():
        command = [linscope(), "train", experiment, "--out", run]
        for value in sets:
            command += ["--set", value]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    known = answer("info", run)
    if known["step"] != known["steps"]:
        raise SystemExit(f"[train] {run} was required to be finished, but stands at step {known['step']}; remove it")
    return known

"""The program under test, and experiments small enough to train in a second."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = os.environ.get("LINSCOPE_PROGRAM", "")
HAS_VIEWS = os.environ.get("LINSCOPE_VIEWS", "ON") == "ON"

EXPERIMENT = """title = "Tiny"
seed = 3
steps = {steps}
[task]
name = "masked_bytes"
corpus = "{corpus}"
length = {length}
batch = 2
[model]
kind = "encoder"
layers = 1
width = 32
heads = 2
position = "learned"
[optimizer]
learning_rate = 1e-3
warmup = 2
[probes]
every = 5
snapshot_every = 5
validate_every = 5
validation_batches = 1
[checkpoint]
every = {checkpoint_every}
[[lane]]
name = "full"
attention = {{ mechanism = "full" }}
[[lane]]
name = "linformer"
attention = {{ mechanism = "linformer", k = 8, sharing = "layerwise" }}
"""


def wait_for(condition, seconds=60):
    """Returns the first true answer of `condition`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.005)
    raise AssertionError("waited in vain")


class CliTest(unittest.TestCase):
    """A scratch folder with a small text and an experiment on it, and the program."""

    def setUp(self):
        self.assertTrue(PROGRAM and os.access(PROGRAM, os.X_OK), "LINSCOPE_PROGRAM names the program under test")
        self.folder = Path(tempfile.mkdtemp(prefix="linscope-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.corpus = self.folder / "book.txt"
        words = "in the beginning was a word and the word was long and the line was short".split()
        lines = [" ".join(words[(i * 7 + j * j) % len(words)] for j in range(3 + i % 9)) for i in range(900)]
        self.corpus.write_text("\n".join(lines) + "\n")
        self.experiment = self.write_experiment()

    def write_experiment(self, name="tiny.toml", text=None, **values):
        settings = {"steps": 12, "length": 64, "checkpoint_every": 5, "corpus": self.corpus} | values
        path = self.folder / name
        path.write_text(text if text is not None else EXPERIMENT.format(**settings))
        return path

    def path(self, name):
        return self.folder / name

    def environment(self):
        return os.environ | {"OMP_NUM_THREADS": "2", "LC_ALL": "C.UTF-8"}

    def run_cli(self, *arguments):
        return subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, env=self.environment(),
                              capture_output=True, text=True, timeout=120, check=False)

    def start_cli(self, *arguments):
        process = subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=self.folder, env=self.environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def ok(self, *arguments):
        """Runs the program, requires status 0, and returns its stdout."""
        done = self.run_cli(*arguments)
        self.assertEqual(done.returncode, 0, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def fails(self, *arguments, status=1):
        """Requires that status and a last line `[where] …` on stderr, and returns that line."""
        done = self.run_cli(*arguments)
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        lines = done.stderr.splitlines()
        self.assertTrue(lines, f"{arguments}: nothing on stderr")
        self.assertRegex(lines[-1], r"^\[[^\]]+\] \S")
        self.assertEqual(done.stdout, "")
        return lines[-1]

    def info(self, run):
        """The run as `info --json` tells it; the document is all that stdout has."""
        return json.loads(self.ok("info", run, "--json"))

    def train(self, name="run.h5", *extra, experiment=None):
        run = self.path(name)
        self.ok("train", experiment or self.experiment, "--out", run, *extra)
        return run

    def replaces_no_other(self, command, *others):
        """Requires that `command OUT` refuses a pipe and each of these files, by name, and leaves them as they are."""
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        self.assertIn("a pipe", self.fails(*command, pipe))
        self.assertTrue(pipe.is_fifo())
        for other in others:
            before = other.read_bytes()
            self.assertIn(other.name, self.fails(*command, other))
            self.assertEqual(other.read_bytes(), before)

    def checkpoints(self, run):
        return sorted(Path(run).with_suffix(".checkpoints").glob("*.safetensors"))

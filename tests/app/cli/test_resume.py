"""A run that is killed or stopped goes on as if nothing had happened."""

import json
import os
import random
import signal
import time
import unittest

from support import CliTest, wait_for

try:
    import h5py
except ImportError:
    h5py = None

STEPS = 60
# What a clock says differs from run to run; everything else must not.
CLOCKS = ("tokens_per_second", "step_milliseconds", "wall_seconds", "milliseconds")


def numbers(run):
    """Every dataset below /lanes that no clock fills: name → bytes."""
    found = {}
    with h5py.File(run, "r") as file:
        def visit(name, item):
            if isinstance(item, h5py.Dataset) and name.split("/")[-1] not in CLOCKS:
                found[name] = (item.shape, item[()].tobytes())
        file["lanes"].visititems(visit)
    return found


class Resume(CliTest):
    def setUp(self):
        super().setUp()
        # A long enough sequence that a kill mostly falls into the middle of a step.
        self.experiment = self.write_experiment(steps=STEPS, length=128, checkpoint_every=10)

    def assert_same(self, run, reference):
        self.assertEqual([path.name for path in self.checkpoints(run)],
                         [path.name for path in self.checkpoints(reference)])
        for one, other in zip(self.checkpoints(run), self.checkpoints(reference), strict=True):
            self.assertEqual(tensors(one), tensors(other), one.name)
        for one, other in zip(self.info(run)["lanes"], self.info(reference)["lanes"], strict=True):
            self.assertEqual(one["metrics"]["loss"], other["metrics"]["loss"])
            self.assertEqual(one["metrics"]["validation_bits_per_byte"], other["metrics"]["validation_bits_per_byte"])
            self.assertEqual(one["projections"], other["projections"])
        if h5py is not None:
            ours, theirs = numbers(run), numbers(reference)
            self.assertEqual(ours.keys(), theirs.keys())
            for name in ours:
                self.assertEqual(ours[name], theirs[name], name)

    def kill_after(self, run, checkpoint, delay):
        """Trains until a checkpoint of that step is there, kills the program `delay` seconds later."""
        resume = ["--resume", run] if run.exists() else [self.experiment, "--out", run]
        process = self.start_cli("train", *resume)
        wait_for(lambda: any(path.stem.endswith(f"{checkpoint:06}") for path in self.checkpoints(run))
                 or process.poll() is not None)
        time.sleep(delay)
        process.kill()
        process.wait()
        self.assertEqual(process.returncode, -signal.SIGKILL, "the program ended before it was killed")

    def test_killed_in_the_middle_of_a_step(self):
        reference = self.train("reference.h5")
        run = self.path("killed.h5")
        delays = random.Random(1)
        self.kill_after(run, 10, delays.uniform(0, 0.02))
        self.assertNotEqual(self.info(run)["state"], "finished")
        self.kill_after(run, 30, delays.uniform(0, 0.02))
        self.ok("train", "--resume", run)
        self.assertEqual(self.info(run)["state"], "finished")
        self.assert_same(run, reference)

    def test_killed_before_the_first_checkpoint(self):
        reference = self.train("reference.h5")
        run = self.path("killed.h5")
        for _ in range(20):  # until it was killed before anything was logged
            process = self.start_cli("train", self.experiment, "--out", run)
            wait_for(run.exists)
            process.kill()
            process.wait()
            for path in self.checkpoints(run):
                path.unlink()
            if self.info(run)["step"] == 0:
                break
            run.unlink()
        done = self.run_cli("train", "--resume", run)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("beginning", done.stderr)
        self.assert_same(run, reference)

    def test_steps_without_a_checkpoint_are_kept(self):
        run = self.train()
        moved = self.path("moved.h5")
        run.rename(moved)
        before = moved.read_bytes()
        line = self.fails("train", "--resume", moved)
        for word in (str(self.path("moved.checkpoints")), "60 steps", "--out"):
            self.assertIn(word, line)
        self.assertEqual(moved.read_bytes(), before)
        self.path("run.checkpoints").rename(self.path("moved.checkpoints"))
        self.ok("train", "--resume", moved)

    def test_a_damaged_checkpoint_is_passed_over(self):
        reference = self.train("reference.h5")
        run = self.train("run.h5", "--set", "checkpoint.keep=3")
        newest, older = self.checkpoints(run)[-1], self.checkpoints(run)[-2]
        whole = newest.read_bytes()
        for damaged in (whole[:-1], whole[:100], b"", b"\xff" * 200):
            newest.write_bytes(damaged)
            done = self.run_cli("eval", run, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["checkpoint"], str(older))
            self.assertIn(f"passed over: [checkpoint] {newest}", done.stderr)
        self.assertIn("step 60", self.fails("eval", run, "--step", 60))
        done = self.run_cli("train", "--resume", run)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"passed over: [checkpoint] {newest}", done.stderr)
        self.assertEqual(tensors(newest), tensors(self.checkpoints(reference)[-1]))
        for path in self.checkpoints(run):
            path.write_bytes(b"")
        self.assertIn("60 steps", self.fails("train", "--resume", run))

    def test_stopped_by_a_signal(self):
        reference = self.train("reference.h5")
        run = self.path("stopped.h5")
        for sent in (signal.SIGINT, signal.SIGTERM):
            resume = ["--resume", run] if run.exists() else [self.experiment, "--out", run]
            process = self.start_cli("train", *resume)
            before = len(self.checkpoints(run)) and self.checkpoints(run)[-1]
            wait_for(lambda: self.checkpoints(run) and self.checkpoints(run)[-1] != before)
            process.send_signal(sent)
            out, error = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, error)
            self.assertIn(f"--resume {run}", out)
            info = self.info(run)
            self.assertEqual(info["state"], "stopped")
            self.assertEqual(info["health"], "whole")
            self.assertTrue(self.checkpoints(run)[-1].stem.endswith(f"{info['step']:06}"))
        self.ok("train", "--resume", run)
        self.assertEqual(tensors(self.checkpoints(run)[-1]), tensors(self.checkpoints(reference)[-1]))
        if h5py is not None:
            ours, theirs = numbers(run), numbers(reference)
            for name in theirs:
                self.assertEqual(ours[name], theirs[name], name)

    def test_a_link_to_the_run_file(self):
        run = self.path("run.h5")
        self.kill_after(run, 10, 0)
        elsewhere = self.path("elsewhere")
        elsewhere.mkdir()
        link = elsewhere / "newest.h5"
        link.symlink_to(run)
        for command in (["eval", link], ["train", "--resume", link], ["eval", link]):
            self.ok(*command)
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.info(run)["state"], "finished")
        self.assertEqual(os.listdir(elsewhere), ["newest.h5"])

    def test_steps_says_where_to_stop(self):
        run = self.path("run.h5")
        self.kill_after(run, 10, 0)
        self.ok("train", "--resume", run, "--steps", 25)
        self.assertEqual(self.info(run)["step"], 25)
        self.assertIn("60", self.fails("train", "--resume", run, "--steps", 61))

    def test_another_experiment_is_refused(self):
        run = self.path("run.h5")
        self.kill_after(run, 10, 0)
        self.assertIn("optimizer.learning_rate",
                      self.fails("train", "--resume", run, "--set", "optimizer.learning_rate=2e-3"))
        self.assertIn("--out", self.fails("train", "--resume", run, "--out", self.path("other.h5")))
        self.ok("train", self.experiment, "--resume", run, "--set", "optimizer.learning_rate=1e-3")


def tensors(path):
    """The data of a safetensors file; its header holds the time that training took."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little"):]


if __name__ == "__main__":
    unittest.main()

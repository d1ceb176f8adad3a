"""What a script may rely on: README.md's table of exit statuses, row by row."""

import json
import re
import signal
import struct
import unittest
from pathlib import Path

from support import CliTest, HAS_VIEWS, wait_for

README = Path(__file__).parents[3] / "README.md"


class ExitStatus(CliTest):
    def test_the_documents_name_every_status(self):
        rows = re.findall(r"^\| ([0-9, ]+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
        known = {int(status) for row in rows for status in row.split(",")}
        self.assertEqual(known, {0, 1, 2})
        help_text = self.ok("--help")
        for status in known:
            self.assertRegex(help_text, rf"\b{status}\b")

    def test_every_kind_of_end(self):
        run = self.train()
        text = self.path("text.h5")
        text.write_text("no HDF5\n")
        folder = self.path("folder.h5")
        folder.mkdir()
        table = [
            (0, ["--help"]),
            (0, ["--version"]),
            (0, ["train", "--help"]),
            (0, ["info", run]),
            (0, ["eval", run]),
            (0, ["mechanisms"]),
            (0, ["train", "--resume", run]),  # there is nothing left to do
            (1, ["train", self.path("absent.toml")]),
            (1, ["train", self.folder]),
            (1, ["train", run]),  # no experiment
            (1, ["train", self.experiment, "--out", run]),
            (1, ["train", self.experiment, "--set", "task.lenght=3"]),
            (1, ["train", self.experiment, "--set", "task.length=many"]),
            (1, ["train", self.experiment, "--set", "task.corpus=absent.txt"]),
            (1, ["train", "--resume", text]),
            (1, ["train", "--resume", run, "--steps", "13"]),
            (1, ["generate", run, "--prompt", "x"]),  # an encoder
            *((1, [command, file, *more])
              for command, more in (("info", []), ("eval", []), ("generate", ["--prompt", "x"]))
              for file in (text, folder, self.path("absent.h5"), self.experiment)),
            (1, ["eval", run, "--lane", "2"]),
            (1, ["eval", run, "--step", "7"]),
            (1, ["batches", self.path("absent.toml"), "--out", self.path("a.safetensors")]),
            (1, ["batches", self.experiment, "--out", text]),
            (2, ["nonsense"]),
            (2, ["--nonsense"]),
            (2, ["train"]),
            (2, ["train", self.experiment, self.experiment]),
            (2, ["train", self.experiment, "--steps", "0"]),
            (2, ["train", self.experiment, "--steps", "many"]),
            (2, ["train", self.experiment, "--device", "tpu"]),
            (2, ["train", self.experiment, "--set", "task.length"]),
            (2, ["train", self.experiment, "--check-device", "2"]),
            (2, ["info"]),
            (2, ["eval", run, "--set", "=3"]),
            (2, ["eval", run, "--lane", "-1"]),
            (2, ["generate", run]),
            (2, ["generate", run, "--prompt", "x", "--temperature", "-1"]),
            (2, ["check", "--mechanism", "nonsense"]),
            (2, ["bench"]),
            (2, ["bench", "decode", "--mechanism", "nonsense"]),
            (2, ["bench", "train-step", "--mechanism", "nonsense"]),
            (2, ["batches", self.experiment, "--count", "0", "--out", "a.safetensors"]),
            (2 if HAS_VIEWS else 1, ["render", run, "--view", "nonsense", "--out", "a.png"]),
        ]
        for status, arguments in table:
            with self.subTest(arguments=[str(argument) for argument in arguments]):
                done = self.run_cli(*arguments)
                self.assertEqual(done.returncode, status, done.stderr)
                if status != 0:
                    self.assertRegex(done.stderr.splitlines()[-1], r"^\[[^\]]+\] \S")
                    self.assertEqual(done.stdout, "")
                if status == 2:
                    self.assertTrue(done.stderr.startswith("[usage] "), done.stderr)

    def test_a_training_that_is_interrupted(self):
        run = self.path("run.h5")
        self.start = ["train", self.write_experiment(steps=40000, checkpoint_every=10), "--out", run]
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.start_cli(*self.start)
            wait_for(lambda: run.exists() and process.poll() is None and len(self.checkpoints(run)) > 1)
            before = self.checkpoints(run)[-1]
            wait_for(lambda: self.checkpoints(run)[-1] != before)
            process.send_signal(sent)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0)
            self.assertEqual(self.info(run)["state"], "stopped")
            self.start = ["train", "--resume", run]

    def test_a_run_that_diverged(self):
        """0 as long as a lane goes on, 1 where none is left: with no text on the way to tell them apart but the status."""
        run = self.train()
        newest = self.checkpoints(run)[-1]
        for lanes, status in ((1, 0), (2, 1)):
            copy = self.train(f"run{lanes}.h5")
            older, newest = self.checkpoints(copy)[-2:]
            newest.unlink()
            data = bytearray(older.read_bytes())
            (size,) = struct.unpack_from("<Q", data)
            header = json.loads(data[8:8 + size])
            for lane in range(lanes):
                begin = header[f"lane{lane}/blocks.0.mlp.up.weight"]["data_offsets"][0]
                struct.pack_into("<f", data, 8 + size + begin, float("nan"))
            older.write_bytes(data)
            done = self.run_cli("train", "--resume", copy)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn("not finite" if status else 'lane "full" stopped', done.stderr)
            if status == 0:
                states = [lane["state"] for lane in self.info(copy)["lanes"]]
                self.assertEqual(states, ["diverged", "finished"])


if __name__ == "__main__":
    unittest.main()

"""What goes wrong, and what is then said."""

import fcntl
import json
import os
import pty
import resource
import signal
import struct
import subprocess
import termios
import unittest

from support import CliTest, EXPERIMENT, HAS_VIEWS, PROGRAM, wait_for

try:
    import h5py
except ImportError:
    h5py = None


class WrongExperiments(CliTest):
    def changed(self, old, new):
        text = EXPERIMENT.format(steps=12, length=64, checkpoint_every=5, corpus=self.corpus)
        self.assertIn(old, text)
        return self.write_experiment("changed.toml", text.replace(old, new))

    def refuses(self, old, new, *words):
        line = self.fails("train", self.changed(old, new), "--out", self.path("run.h5"))
        for word in words:
            self.assertIn(word, line)
        self.assertFalse(self.path("run.h5").exists())
        return line

    def test_unknown_key(self):
        self.refuses("length =", "lenght =", "changed.toml:7", "task.lenght", "length")

    def test_wrong_type(self):
        self.refuses("layers = 1", 'layers = "one"', "changed.toml:11", "model.layers", "integer")

    def test_no_toml(self):
        self.refuses("[model]", "[model", "changed.toml:9")

    def test_more_slots_than_tokens(self):
        self.refuses("k = 8", "k = 65", "65", "64")

    def test_heads_that_do_not_divide_the_width(self):
        self.refuses("heads = 2", "heads = 3", "model.heads", "32", "3")

    def test_length_longer_than_the_corpus(self):
        self.corpus.write_text("in the beginning\n" * 3)
        self.refuses("seed = 3", "seed = 4", "task.length", "book.txt")

    def test_empty_and_absent_corpus(self):
        self.corpus.write_text("")
        self.refuses("seed = 3", "seed = 4", "empty")
        self.corpus.unlink()
        self.refuses("seed = 3", "seed = 4", "book.txt")

    def test_unknown_mechanism(self):
        self.refuses('mechanism = "linformer"', 'mechanism = "lineformer"', "linformer")

    def test_absent_file(self):
        self.assertIn("absent.toml", self.fails("train", self.path("absent.toml")))

    def test_wrong_set(self):
        for text, word, status in (("task.lenght=5", "task.lenght", 1), ("task.length", "key=value", 2),
                                   ("task.length=x", "task.length", 1), ("lane.1.attention.k=65", "65", 1)):
            with self.subTest(text=text):
                self.assertIn(word, self.fails("train", self.experiment, "--set", text, "--out", self.path("run.h5"),
                                               status=status))


class WrongFiles(CliTest):
    def test_output_that_cannot_be_written(self):
        blocked = self.path("file")
        blocked.write_text("no folder")
        self.assertIn("file", self.fails("train", self.experiment, "--out", blocked / "run.h5"))
        self.assertIn("folder", self.fails("train", self.experiment, "--out", self.folder))

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_output_without_permission(self):
        locked = self.path("locked")
        locked.mkdir(mode=0o500)
        self.assertIn("locked", self.fails("train", self.experiment, "--out", locked / "run.h5"))

    def test_an_earlier_run_is_not_overwritten(self):
        run = self.train()
        before = run.read_bytes()
        self.assertIn("--resume", self.fails("train", self.experiment, "--out", run))
        self.assertEqual(run.read_bytes(), before)
        run.unlink()
        self.assertIn("checkpoints", self.fails("train", self.experiment, "--out", run))

    def test_files_that_are_no_runs(self):
        run = self.train()
        whole = run.read_bytes()
        cut = self.path("cut.h5")
        foreign = self.path("foreign.h5")
        foreign.write_text("no HDF5 at all\n" * 50)
        self.path("empty.h5").write_bytes(b"")
        for size in (40, 700, len(whole) // 2):
            cut.write_bytes(whole[:size])
            for command in (["info", cut], ["info", cut, "--json"], ["train", "--resume", cut]):
                with self.subTest(size=size, command=command):
                    self.assertIn("cut.h5", self.fails(*command))
        for name in ("foreign.h5", "empty.h5", "absent.h5", "."):
            with self.subTest(name=name):
                self.fails("info", self.path(name))

    @unittest.skipIf(h5py is None, "python3-h5py is not installed")
    def test_foreign_hdf5_and_newer_schema(self):
        with h5py.File(self.path("foreign.h5"), "w") as file:
            file["numbers"] = [1, 2, 3]
        self.assertIn("foreign.h5", self.fails("info", self.path("foreign.h5")))
        run = self.train()
        with h5py.File(run, "r+") as file:
            names = [name for name in file.attrs if "schema" in name]
            self.assertEqual(len(names), 1, list(file.attrs))
            file.attrs.modify(names[0], 99)
        self.assertIn("99", self.fails("info", run))
        self.assertIn("99", self.fails("train", "--resume", run))


class NotFinite(CliTest):
    def poison(self, checkpoint, tensor):
        """Puts a NaN into a tensor of a safetensors file."""
        data = bytearray(checkpoint.read_bytes())
        (header,) = struct.unpack_from("<Q", data)
        begin = json.loads(data[8:8 + header])[tensor]["data_offsets"][0]
        struct.pack_into("<f", data, 8 + header + begin, float("nan"))
        checkpoint.write_bytes(data)

    def stopped_run(self):
        """A run stopped between two steps, and its last step."""
        run = self.path("run.h5")
        process = self.start_cli("train", self.write_experiment(steps=4000, checkpoint_every=20), "--out", run)
        wait_for(lambda: len(self.checkpoints(run)) > 1)  # the first is of step 0
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, error)
        self.assertIn("--resume", out)
        return run, self.info(run)["step"]

    def test_one_lane_stops_and_the_other_goes_on(self):
        run, step = self.stopped_run()
        self.poison(self.checkpoints(run)[-1], "lane1/blocks.0.mlp.up.weight")
        done = self.run_cli("train", "--resume", run, "--steps", step + 3)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('lane "linformer" stopped', done.stderr)
        info = self.info(run)
        full, linformer = info["lanes"]
        self.assertEqual(info["step"], step + 3)
        self.assertEqual((full["state"], linformer["state"]), ("stopped", "diverged"))
        self.assertEqual(full["metrics"]["loss"]["step"], step + 3)
        self.assertEqual(linformer["metrics"]["loss"]["step"], step)
        self.assertIn("blocks.0", linformer["message"])
        self.says_that_the_lane_diverged(run, step + 1)

    def says_that_the_lane_diverged(self, run, step):
        """Of the lane 1, wherever its numbers or its words would be."""
        reason = f"diverged at step {step}: blocks.0.mlp.up.weight"
        self.assertIn(reason, self.ok("info", run))
        done = self.run_cli("eval", run)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(reason, [line for line in done.stdout.splitlines() if line.startswith("linformer ")][0])
        self.assertNotIn("nan", done.stdout)
        full, linformer = json.loads(self.ok("eval", run, "--json"))["lanes"]
        self.assertIsNone(full["stopped"])
        self.assertGreater(full["loss"], 0)
        self.assertIn(reason, linformer["stopped"])
        self.assertIsNone(linformer["loss"])
        self.assertIn(reason, self.fails("eval", run, "--lane", 1))
        if HAS_VIEWS:
            done = self.run_cli("render", run, "--view", "compressed", "--lane", 1, "--out", self.path("map.png"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(reason, done.stderr)

    def test_every_lane_stopped_is_a_failure(self):
        run, step = self.stopped_run()
        for lane in range(2):
            self.poison(self.checkpoints(run)[-1], f"lane{lane}/blocks.0.mlp.up.weight")
        done = self.run_cli("train", "--resume", run, "--steps", step + 3)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("[train]", done.stderr.splitlines()[-1])
        for lane in self.info(run)["lanes"]:
            self.assertEqual(lane["state"], "diverged")
            self.assertEqual(lane["metrics"]["loss"]["step"], step)


class Outputs(CliTest):
    def test_a_dated_run_that_cannot_begin_leaves_no_file(self):
        def no_large_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

        done = subprocess.run([PROGRAM, "train", str(self.experiment)], cwd=self.folder, env=self.environment(),
                              capture_output=True, text=True, timeout=60, preexec_fn=no_large_files, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(list(self.path("runs").iterdir()), [])

    def test_a_file_in_place_of_the_checkpoints(self):
        self.path("run.checkpoints").touch()
        line = self.fails("train", self.experiment, "--out", self.path("run.h5"))
        self.assertIn("run.checkpoints, but that is no folder", line)
        self.assertFalse(self.path("run.h5").exists())

    def test_numbers_that_are_none(self):
        run = self.train()
        for arguments in (("generate", run, "--prompt", "x", "--temperature", "nan"),
                          ("train", self.experiment, "--check-device", "nan"),
                          ("render", run, "--view", "exact", "--lane", "-1", "--out", "a.png")):
            line = self.fails(*arguments, status=2)
            self.assertRegex(line, r"required, but got (nan|-1)")
            self.assertLess(len(line), 200)

    def redirected(self, streams, *arguments):
        """Runs the program as a shell does that redirects its streams."""
        return subprocess.run(["sh", "-c", f'exec "$0" "$@" {streams}', PROGRAM, *map(str, arguments)],
                              env=self.environment(), capture_output=True, text=True, timeout=60, check=False)

    def test_what_cannot_be_printed_is_a_failure(self):
        run = self.train()
        for streams in (">&-", ">/dev/full"):
            for arguments in (["info", run], ["mechanisms", "--json"], ["--help"]):
                with self.subTest(streams=streams, arguments=arguments):
                    done = self.redirected(streams, *arguments)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn("[output]", done.stderr)

    def test_words_that_nobody_takes_end_no_training(self):
        """Its result is the run file. What stdout does not take goes to stderr, so that it can still be found."""
        for index, streams in enumerate(("2>&-", "2>/dev/full", "0<&- 2>&-", ">&- 2>&-", "0<&- >&- 2>&-", ">&-",
                                         ">/dev/full")):
            with self.subTest(streams=streams):
                run = self.path(f"run{index}.h5")
                done = self.redirected(streams, "train", self.experiment, "--out", run)
                self.assertEqual(done.returncode, 0, done.stderr)
                if streams[0] == ">" and "2>" not in streams:
                    self.assertIn(f"run file     {run} (step 12 of 12)\n", done.stderr)
                info = self.info(run)
                self.assertEqual((info["step"], info["health"]), (12, "whole"))
                self.assertNotIn(b"step 12/12", run.read_bytes())  # nor in the place of a closed stream

    def ended_from_afar(self, end):
        """A training whose messages go to the other end of a terminal or pipe: `end(process)` closes that, and asks to
        stop where closing does not."""
        run = self.path("run.h5")
        process = end(["train", self.write_experiment(steps=100000, checkpoint_every=20), "--out", run],
                      lambda: wait_for(lambda: len(self.checkpoints(run)) > 1))
        self.assertEqual(process.wait(60), 0)
        info = self.info(run)
        self.assertEqual((info["state"], info["health"]), ("stopped", "whole"))
        self.assertTrue(self.checkpoints(run)[-1].stem.endswith(f"{info['step']:06}"))

    def test_a_pipe_that_ctrl_c_closed(self):
        def end(arguments, trains):
            process = self.start_cli(*arguments)
            trains()
            process.stderr.close()
            newest = self.checkpoints(self.path("run.h5"))[-1]
            wait_for(lambda: self.checkpoints(self.path("run.h5"))[-1] != newest)
            process.send_signal(signal.SIGINT)
            return process

        self.ended_from_afar(end)

    def test_a_terminal_that_was_closed(self):
        def end(arguments, trains):
            ours, theirs = pty.openpty()
            process = subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=self.folder, env=self.environment(),
                                       stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                       preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            self.addCleanup(process.kill)
            os.close(theirs)
            trains()
            os.close(ours)
            return process

        self.ended_from_afar(end)

    def test_a_narrow_terminal_has_one_line_of_progress(self):
        ours, theirs = pty.openpty()
        done = subprocess.run([PROGRAM, "train", self.experiment, "--out", self.path("run.h5")], env=self.environment(),
                              stdout=subprocess.DEVNULL, stderr=theirs, timeout=60, check=False)
        os.close(theirs)
        self.addCleanup(os.close, ours)
        self.assertEqual(done.returncode, 0)
        last = os.read(ours, 1 << 16).decode().split("\r")[-2]  # the very last is the end of the line
        # Cut off where the terminal ends; how far and how fast stand before the lanes.
        self.assertRegex(last, r"^\x1b\[\?7lstep 12/12  [0-9.]+ steps/s  0 s left  full: loss .*\x1b\[\?7h")

    def test_the_last_line_has_the_last_validation(self):
        done = self.run_cli("train", self.experiment, "--out", self.path("run.h5"))
        last = [line for line in done.stderr.splitlines() if line.startswith("step 12/12")][-1]
        bits = self.info(self.path("run.h5"))["lanes"][0]["metrics"]["validation_bits_per_byte"]["last"]
        self.assertIn(f"val {bits:.3f} bits", last)


if __name__ == "__main__":
    unittest.main()

"""What is noticed when files change behind a run's back: its text, its checkpoints, its own file."""

import shutil
import unittest

from support import CliTest, wait_for

try:
    import h5py
except ImportError:
    h5py = None


class ChangedData(CliTest):
    def setUp(self):
        super().setUp()
        self.experiment = self.write_experiment(steps=12, checkpoint_every=4)
        self.run_file = self.path("run.h5")

    def train_until(self, step):
        """A run that was ended at that step by a kill, as its checkpoints tell."""
        self.train("run.h5")
        for path in self.checkpoints(self.run_file):
            if int(path.stem.split("-")[1]) > step:
                path.unlink()

    def test_a_text_that_was_changed(self):
        self.train_until(8)
        text = self.corpus.read_text()
        before = self.run_file.read_bytes()
        self.corpus.write_text(text + "and one line more\n")
        line = self.fails("train", "--resume", self.run_file)
        for word in ("[resume]", "book.txt", "900 lines", "901 lines", "digest", "--out"):
            self.assertIn(word, line)
        self.corpus.write_text(text.replace("word", "Word", 1))  # as long as before
        line = self.fails("train", "--resume", self.run_file)
        self.assertIn("reads otherwise", line)
        self.assertEqual(self.run_file.read_bytes(), before)
        done = self.run_cli("eval", self.run_file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("not the data that the run began with", done.stderr)
        self.corpus.write_text(text)
        self.ok("train", "--resume", self.run_file)
        self.assertNotIn("not the data", self.run_cli("eval", self.run_file).stderr)

    @unittest.skipIf(h5py is None, "python3-h5py is not installed")
    def test_a_file_of_an_earlier_version_goes_on_as_before(self):
        self.train_until(8)
        with h5py.File(self.run_file, "r+") as file:
            del file.attrs["run_id"], file.attrs["data_digest"]
        self.corpus.write_text(self.corpus.read_text() + "and one line more\n")
        self.ok("train", "--resume", self.run_file)
        self.assertEqual(self.info(self.run_file)["step"], 12)

    def test_checkpoints_of_another_run(self):
        self.train_until(8)
        kept = self.path("kept")
        shutil.move(self.path("run.checkpoints"), kept)
        for name, change in (("other", ["--set", "optimizer.learning_rate=2e-3"]), ("twin", [])):
            other = self.train(name + ".h5", *change)
            shutil.copytree(other.with_suffix(".checkpoints"), self.path("run.checkpoints"))
            for command in (["train", "--resume"], ["eval"]):
                line = self.fails(*command, self.run_file)
                self.assertIn("another one", line)
                self.assertIn("optimizer.learning_rate is 0.002" if change else "of the same experiment", line)
            shutil.rmtree(self.path("run.checkpoints"))
        shutil.move(kept, self.path("run.checkpoints"))
        self.ok("train", "--resume", self.run_file)


class LostRunFile(CliTest):
    def setUp(self):
        super().setUp()
        self.run_file = self.path("runs/run.h5")
        self.process = self.start_cli("train", self.write_experiment(steps=40000, checkpoint_every=100), "--out",
                                      self.run_file)
        wait_for(lambda: len(self.checkpoints(self.run_file)) > 1)  # the first is of step 0

    def stops(self):
        """Requires that training stops by itself, soon, as a failure; the line that says why."""
        _, error = self.process.communicate(timeout=60)
        self.assertEqual(self.process.returncode, 1, error)
        line = error.splitlines()[-1]
        self.assertIn(f"[run file] {self.run_file} must stay where it is", line)
        self.assertIn(f"linscope train --resume {self.run_file}", line)
        return line

    def goes_on(self):
        info = self.info(self.run_file)
        self.assertEqual((info["state"], info["health"]), ("stopped", "whole"))
        self.assertTrue(self.checkpoints(self.run_file)[-1].stem.endswith(f"{info['step']:06}"))
        self.ok("train", "--resume", self.run_file, "--steps", info["step"] + 2)
        self.assertEqual(self.info(self.run_file)["lanes"][0]["metrics"]["loss"]["step"], info["step"] + 2)

    def test_removed(self):
        self.run_file.unlink()
        self.assertIn("removed", self.stops())
        self.goes_on()

    def test_removed_with_its_folder(self):
        shutil.rmtree(self.run_file.parent)
        self.stops()
        self.goes_on()

    def test_replaced(self):
        other = self.path("other")
        other.write_text("something else\n")
        other.rename(self.run_file)
        line = self.stops()
        rescued = self.path("runs/run.rescued.h5")
        self.assertIn(f"replaced by another file; all that was logged is in {rescued}", line)
        self.assertEqual(self.run_file.read_text(), "something else\n")
        rescued.rename(self.run_file)
        self.goes_on()

    def test_moved(self):
        moved = self.path("moved.h5")
        self.run_file.rename(moved)
        self.assertIn(f"now at {moved}", self.stops())
        moved.rename(self.run_file)
        self.goes_on()


if __name__ == "__main__":
    unittest.main()

"""What is noticed when files change behind a run's back: its text, its checkpoints, its own file."""

import shutil
import unittest

from support import CliTest

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


if __name__ == "__main__":
    unittest.main()

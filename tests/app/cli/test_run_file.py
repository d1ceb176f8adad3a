"""A run file as docs/run-file.md has it, read by what knows nothing of Linscope."""

import unittest

from support import EXPERIMENT, HAS_VIEWS, CliTest

try:
    import h5netcdf
    import h5py
    import numpy
except ImportError:
    h5py = None

# Matrices and parameters of every kind: as long as the sequence and not, for each head and for all.
LANES = ("linformer", "performer", "reformer", "nystrom"), ("linformer_causal", "gated_delta", "retention", "linear")


@unittest.skipIf(h5py is None, "python3-h5py and python3-h5netcdf are not installed")
class RunFile(CliTest):
    def runs(self):
        """A run of encoders and one of decoders."""
        for kind, task, lanes in zip(("encoder", "decoder"), ("masked_bytes", "next_byte"), LANES):
            text = EXPERIMENT.format(steps=5, length=64, checkpoint_every=0, corpus=self.corpus)
            text = text[:text.index("[[lane]]")].replace("masked_bytes", task).replace("encoder", kind)
            for name in lanes:
                text += f'[[lane]]\nname = "{name}"\nattention = {{ mechanism = "{name}" }}\n'
            text = text.replace('"nystrom" }', '"nystrom", landmarks = 8 }').replace('"linformer" }', '"linformer", k = 8 }')
            yield self.train(f"{kind}.h5", experiment=self.write_experiment(f"{kind}.toml", text))

    def test_every_axis_of_a_lanes_numbers_has_a_scale(self):
        """netCDF knows no array of which some axes have a name and some have none, and then opens nothing of the file."""
        for run in self.runs():
            with h5py.File(run, "r") as file:
                bare = []

                def look(name, item):
                    if isinstance(item, h5py.Dataset) and item.attrs.get("CLASS") != b"DIMENSION_SCALE":
                        bare.extend((name, axis) for axis in range(item.ndim) if len(item.dims[axis]) == 0)

                file["lanes"].visititems(look)
                self.assertEqual(bare, [])
            with h5netcdf.File(run, "r", phony_dims="sort") as file:  # events has no scales
                self.assertEqual(file["events/step"].shape, file["events/kind"].shape)

    def test_every_dataset_says_its_unit_and_what_it_is(self):
        for run in self.runs():
            with h5py.File(run, "r") as file:
                silent = []
                file.visititems(lambda name, item: silent.append(name) if isinstance(item, h5py.Dataset) and not (
                    item.attrs.get("units") and item.attrs.get("long_name")) else None)
                self.assertEqual(silent, [])

    def test_texts_of_another_program_are_read(self):
        """h5py writes bytes as ASCII, which HDF5 converts to no UTF-8."""
        run = self.train()
        with h5py.File(run, "r+") as file:
            for item in (file, file["lanes/0"]):
                for name, value in list(item.attrs.items()):
                    if isinstance(value, bytes):
                        del item.attrs[name]
                        item.attrs[name] = numpy.bytes_(value.replace(b"Tiny", b"Small"))
            kinds = file["events/kind"][:]
            del file["events/kind"]
            file["events/kind"] = kinds
        self.assertIn("Small", self.ok("info", run))
        self.ok("eval", run)

    def test_a_head_that_gives_nothing_has_no_error_to_tell(self):
        if not HAS_VIEWS:
            self.skipTest("built without views")
        run = self.train()
        with h5py.File(run, "r+") as file:
            file["lanes/1/snapshots/layers/0/v"][...] = 0
        printed = self.ok("render", run, "--view", "lifted", "--lane", 1, "--out", self.path("a.png"))
        self.assertNotIn("nan", printed)
        self.assertIn("map error", printed)


if __name__ == "__main__":
    unittest.main()

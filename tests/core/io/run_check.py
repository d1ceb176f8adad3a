"""What every reader of a run file may rely on, checked with h5py and xarray."""

import sys
import time

SKIP = 77


def skip(reason):
    print("SKIP: " + reason)
    sys.exit(SKIP)


try:
    import h5py
    import numpy as np
except ImportError as error:
    skip(f"python3-h5py is not installed ({error})")


def loss(step, lane):
    """The value that write_run logs."""
    return 5.0 / (1.0 + 0.01 * step) + lane


def check_series(group, lane):
    """Loss and step agree; the number of rows."""
    step = group["step"][:]
    values = group["loss"][:]
    rows = min(len(step), len(values))
    assert np.array_equal(step[:rows], np.arange(1, rows + 1)), step[:rows]
    assert np.allclose(values[:rows], loss(step[:rows], lane)), "loss differs from what was logged"
    return rows


def check_file(file):
    """All that is in an open h5py.File; the number of steps that both lanes have."""
    assert file.attrs["linscope_schema"] == 1
    assert bytes(file.attrs["program"]).startswith(b"linscope 0."), file.attrs["program"]
    assert b'mechanism = "linformer"' in file.attrs["experiment"]
    rows = min(check_series(file[f"lanes/{lane}/metrics"], lane) for lane in (0, 1))
    for lane in (0, 1):
        snapshots = file[f"lanes/{lane}/snapshots"]
        stored = snapshots["step"][:]
        queries = snapshots["layers/1/q"]
        count = min(len(stored), len(queries))
        if count:
            assert queries.shape[1:] == (1, 4, 64, 8)
            assert 0.5 < np.std(queries[count - 1]) < 1.5, "a snapshot's values are not the random ones logged"
    spectrum = file["lanes/1/projections/E/spectrum"]
    if len(spectrum):
        assert spectrum[len(spectrum) - 1].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    initial = file["lanes/1/projections/E/initial"]
    assert initial.shape == (8, 64) and (initial[:] == 0.5).all()
    return rows


def check_h5py(path):
    """Opens the file as anybody would."""
    with h5py.File(path, "r") as file:
        return check_file(file)


def check_swmr(path):
    """Opens the file as one does when a flush may come while it is read: once it is open, nothing may fail."""
    with unhurried(lambda p: h5py.File(p, "r", libver="latest", swmr=True), path) as file:
        return check_file(file)


def unhurried(check, path):
    """Whoever opens a file that grows in that moment, or reads it plainly, may get an OSError and opens it again.

    HDF5 asks the system for the size before it reads where the file ends."""
    for _ in range(20):
        try:
            return check(path)
        except OSError:
            time.sleep(0.01)
    return check(path)


def check_xarray(path):
    """Opens groups as data sets; the number of steps."""
    import xarray

    with xarray.open_dataset(path, group="lanes/0/metrics", engine="h5netcdf") as metrics:
        metrics = metrics.load()
        assert metrics["loss"].dims == ("step",)
        assert metrics["loss"].attrs["units"] == "nat", metrics["loss"].attrs
        filled = metrics.dropna("step", how="any")
        assert np.allclose(filled["loss"], loss(filled["step"].values, 0))
        rows = metrics.sizes["step"]
    with xarray.open_dataset(path, group="lanes/1/projections/E", engine="h5netcdf") as probes:
        assert probes["spectrum"].dims == ("step", "index")
        probes["spectrum"].load()
    with xarray.open_dataset(path, group="lanes/1/snapshots", engine="h5netcdf") as snapshots:
        assert snapshots["tokens"].dims == ("step", "sample", "token")
        snapshots["tokens"].load()
    with xarray.open_dataset(path, group="lanes/1/snapshots/parameters", engine="h5netcdf") as parameters:
        kernel = parameters["attention.layer0.kernel"]
        assert kernel.dims == ("step", "entry_6") and list(kernel.attrs["shape"]) == [2, 3], kernel
        assert parameters["attention.layer1.gain"].dims == ("step", "entry_1")
        kernel.load()
    return rows


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)

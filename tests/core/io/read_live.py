"""Reads a run in every way while write_run writes it: read_live.py WRITE_RUN FOLDER"""

import os
import subprocess
import sys
import time

import run_check
from run_check import h5py


def main(program, folder):
    try:
        import h5netcdf  # noqa: F401
        import xarray  # noqa: F401
    except ImportError as error:
        run_check.skip(f"python3-xarray and python3-h5netcdf are not installed ({error})")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "live.h5")
    if os.path.exists(path):
        os.remove(path)
    writer = subprocess.Popen([program, path, "0", "0.2", "1"], stdout=subprocess.DEVNULL)
    follower = None
    try:
        run_check.wait_for(lambda: os.path.exists(path))
        # In a process of its own: HDF5 lets all opens of one file in a process share what the first has read.
        follower = subprocess.Popen([sys.executable, __file__, "follow", path])
        plain, arrays, swmr = [], [], []
        run_check.wait_for(lambda: run_check.unhurried(run_check.check_h5py, path) >= 1)
        end = time.monotonic() + 4
        while time.monotonic() < end or len(plain) < 10:
            plain.append(run_check.unhurried(run_check.check_h5py, path))
            arrays.append(run_check.unhurried(run_check.check_xarray, path))
            swmr.append(run_check.check_swmr(path))
        assert writer.poll() is None, "the writer stopped while others read"
        for rows in (plain, arrays, swmr):
            assert rows == sorted(rows) and rows[-1] > rows[0] + 50, rows
        assert follower.wait(timeout=60) == 0, "the file could not be followed"
        print(f"{len(plain)} times: h5py {plain[0]} to {plain[-1]}, xarray to {arrays[-1]}, swmr to {swmr[-1]} steps")
    finally:
        for process in (writer, follower):
            if process:
                process.kill()
                process.wait()


def follow(path):
    """Keeps the file open and refreshes."""
    with run_check.unhurried(lambda p: h5py.File(p, "r", libver="latest", swmr=True), path) as file:
        metrics = file["lanes/0/metrics"]
        seen = []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for name in ("step", "loss"):
                metrics[name].refresh()
            seen.append(run_check.check_series(metrics, 0))
            time.sleep(0.05)
    assert seen == sorted(seen) and seen[-1] > seen[0] + 50, seen
    print(f"followed from {seen[0]} to {seen[-1]} steps")


if sys.argv[1] == "follow":
    follow(sys.argv[2])
else:
    main(sys.argv[1], sys.argv[2])

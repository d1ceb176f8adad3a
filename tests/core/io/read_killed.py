"""Kills write_run at random moments and reads what is left: read_killed.py WRITE_RUN FOLDER [TIMES]"""

import os
import random
import signal
import subprocess
import sys
import time

import run_check


def rows_of_stopped(writer, path):
    """Steps in the file while the writer is stopped, perhaps in the middle of a flush, which then still ends."""
    writer.send_signal(signal.SIGSTOP)
    try:
        return run_check.unhurried(run_check.check_swmr, path)
    finally:
        writer.send_signal(signal.SIGCONT)


def main(program, folder, times):
    try:
        import h5netcdf  # noqa: F401
        import xarray  # noqa: F401
    except ImportError as error:
        run_check.skip(f"python3-xarray and python3-h5netcdf are not installed ({error})")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "killed.h5")
    moments = random.Random(1)
    lost = []
    for _ in range(times):
        if os.path.exists(path):
            os.remove(path)
        # A flush at every event: the kill falls into one nearly always.
        writer = subprocess.Popen([program, path, "0", "0"], stdout=subprocess.PIPE)
        # A writer that flushes without a pause outruns a slow reader, so it is stopped for the look at what it
        # has written; after the kill nothing grows, and the first attempt has to succeed.
        live = lambda: rows_of_stopped(writer, path)
        try:
            writer.stdout.readline()
            run_check.wait_for(lambda: live() >= 1)
            time.sleep(moments.uniform(0, 0.3))
            before = live()
            time.sleep(moments.uniform(0, 0.01))
        finally:
            writer.kill()
            # A flush that has begun is carried through by a process that outlives the writer and has its stdout, too.
            writer.stdout.read()
            writer.wait()
        rows = run_check.check_h5py(path)
        assert rows >= before, f"{before} steps were there before the kill, {rows} after it"
        assert run_check.check_xarray(path) >= rows
        lost.append(rows)
    print(f"{times} kills, steps left: {lost}")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 25)

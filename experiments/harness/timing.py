"""Time a module as a process of its own: wall time, training time, peak memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.harness.errors import InputError
from experiments.harness.files import REPOSITORY


class Way(NamedTuple):
    """A way of training networks, by a command in a process of its own."""

    name: str
    command: str  # a module with its options
    jobs: int
    networks: int
    options: Sequence[str] = ()
    checkout: Path = REPOSITORY
    pinned: bool = False  # to one core


def time_ways(ways: Sequence[Way], times: int = 1) -> list[dict]:
    """Run several ways in turn, several times; return the median run of each as a row.

    The modules must leave a JSON file with their ``seconds`` by phase in the results folder.
    """
    runs = [[_time_once(way) for way in ways] for _ in range(times)]
    rows = []
    for way, of_way in zip(ways, zip(*runs, strict=True), strict=True):
        seconds, training, memory = sorted(of_way)[times // 2]
        print(f"{way.name}, {way.networks} networks: {seconds:.1f} s, training {training:.2f} s")
        rows.append(
            {
                "way": way.name,
                "networks": way.networks,
                "jobs": way.jobs,
                "process_seconds": round(seconds, 2),
                "training_seconds": round(training, 2),
                "peak_memory_mib": memory,
                "extrapolated": 0,
            }
        )
    sys.stdout.flush()
    return rows


def sgemm_gflops(threads: int, size: int = 512) -> float:
    """Return the 10⁹ operations a second that NumPy reaches in a product of float32 matrices."""
    matrix, seconds = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32), []
    with threadpool_limits(threads):
        for _ in range(200):
            started = time.perf_counter()
            matrix @ matrix
            seconds.append(time.perf_counter() - started)
    return 2e-9 * size**3 / min(seconds)


def _time_once(way):
    """Return the wall time of a process, its training time and its peak memory."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        pin = ["taskset", "--cpu-list", "0"] if way.pinned else []
        call = [*pin, sys.executable, "-m", *way.command.split()]
        call += [*way.options, f"--jobs={way.jobs}", f"--results={folder}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": errors}
        started = time.perf_counter()
        process = subprocess.Popen(call, cwd=way.checkout, **quiet)
        memory = _wait(process)
        seconds = time.perf_counter() - started
        if process.returncode:
            errors.seek(0)
            reason = errors.read().decode(errors="replace")
            raise InputError(f"{way.command} failed: {reason}")
        metadata = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    (phases,) = (each["seconds"] for each in metadata if "seconds" in each)
    return seconds, phases["training"] + phases.get("building", 0), memory


def _wait(process):
    """Wait for a process; return the peak memory in MiB of it or its largest child, or None."""
    if not hasattr(os, "wait4"):  # Windows
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return round(usage.ru_maxrss / (1024 if sys.platform == "linux" else 2**20))

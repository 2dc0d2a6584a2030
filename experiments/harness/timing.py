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
from experiments.harness.parent import as_child


class Way(NamedTuple):
    """A way of training networks, by a command in a process of its own."""

    name: str
    command: str  # a module, or the file of a script, with its options
    jobs: int
    networks: int
    options: Sequence[str] = ()
    checkout: Path = REPOSITORY
    pinned: bool = False  # to one core
    installed: Path | None = None  # folder of packages to import


class Run(NamedTuple):
    """What one process took, and the JSON that it left in the results folder."""

    training_seconds: float
    process_seconds: float
    peak_memory_mib: int | None
    left: dict


def time_ways(ways: Sequence[Way], times: int = 1) -> list[dict]:
    """Run several ways in turn, several times; return the median run of each as a row."""
    runs = [[time_once(way) for way in ways] for _ in range(times)]
    return [median_row(*each) for each in zip(ways, zip(*runs, strict=True), strict=True)]


def median_row(way: Way, runs: Sequence[Run]) -> dict:
    """Print the run of median training time, and return it as a row."""
    run = sorted(runs, key=lambda run: run.training_seconds)[len(runs) // 2]
    seconds, training = run.process_seconds, run.training_seconds
    took = f"{seconds:.1f} s, training {training:.2f} s"
    print(f"{way.name}, {way.networks} networks: {took}", flush=True)
    return {
        "way": way.name,
        "networks": way.networks,
        "jobs": way.jobs,
        "process_seconds": round(seconds, 2),
        "training_seconds": round(training, 2),
        "peak_memory_mib": run.peak_memory_mib,
        "extrapolated": 0,
    }


def sgemm_gflops(threads: int, size: int = 512) -> float:
    """Return the 10⁹ operations a second that NumPy reaches in a product of float32 matrices."""
    matrix, seconds = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32), []
    with threadpool_limits(threads):
        for _ in range(200):
            started = time.perf_counter()
            matrix @ matrix
            seconds.append(time.perf_counter() - started)
    return 2e-9 * size**3 / min(seconds)


def time_once(way: Way) -> Run:
    """Run a way once.

    It must leave a JSON file with its ``seconds`` by phase in the results folder.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        pin = ["taskset", "--cpu-list", "0"] if way.pinned else []
        command = way.command.split()
        module = ["-P"] if command[0].endswith(".py") else ["-m"]
        call = [*pin, sys.executable, *module, *command]
        call += [*way.options, f"--jobs={way.jobs}", f"--results={folder}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": errors}
        environment = as_child() | ({"PYTHONPATH": str(way.installed)} if way.installed else {})
        started = time.perf_counter()
        process = subprocess.Popen(call, cwd=way.checkout, env=environment, **quiet)
        memory = _wait(process)
        seconds = time.perf_counter() - started
        if process.returncode:
            errors.seek(0)
            reason = errors.read().decode(errors="replace")
            raise InputError(f"{way.command} failed: {reason}")
        metadata = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    (left,) = (each for each in metadata if "seconds" in each)
    phases = left["seconds"]
    return Run(phases["training"] + phases.get("building", 0), seconds, memory, left)


def _wait(process):
    """Wait for a process; return the peak memory in MiB of it or its largest child, or None."""
    if not hasattr(os, "wait4"):  # Windows
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return round(usage.ru_maxrss / (1024 if sys.platform == "linux" else 2**20))

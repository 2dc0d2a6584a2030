"""Time a module as a process of its own: wall time, training time, peak memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.harness.errors import InputError
from experiments.harness.files import REPOSITORY


def time_process(
    way: str,
    networks: int,
    jobs: int,
    command: Sequence[str],
    times: int = 1,
) -> dict:
    """Run a module several times, and return the median run as a row of the benchmark.

    `command` is the module with its options. It must leave a JSON file with its ``seconds`` by
    phase in its results folder.
    """
    runs = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", *command, f"--jobs={jobs}", f"--results={folder}"],
                cwd=REPOSITORY,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
            memory = _wait(process)
            seconds = time.perf_counter() - started
            if process.returncode:
                errors.seek(0)
                reason = errors.read().decode(errors="replace")
                raise InputError(f"{' '.join(command)} failed: {reason}")
            metadata = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
        (phases,) = (each["seconds"] for each in metadata if "seconds" in each)
        runs.append((seconds, phases["training"] + phases.get("building", 0), memory))
    seconds, training, memory = sorted(runs)[len(runs) // 2]
    print(f"{way}, {networks} networks: {seconds:.1f} s, training {training:.2f} s", flush=True)
    return {
        "way": way,
        "networks": networks,
        "jobs": jobs,
        "process_seconds": round(seconds, 2),
        "training_seconds": round(training, 2),
        "peak_memory_mib": memory,
        "extrapolated": 0,
    }


def _wait(process):
    """Wait for a process; returns the peak memory in MiB of it or its largest child, or None."""
    if not hasattr(os, "wait4"):  # Windows
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return round(usage.ru_maxrss / (1024 if sys.platform == "linux" else 2**20))

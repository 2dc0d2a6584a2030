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


def time_process(way: str, networks: int, jobs: int, command: Sequence[str], times=1) -> dict:
    """Run a module with its options several times; return the median run as a row of the table.

    The module must leave a JSON file with its ``seconds`` by phase in its results folder.
    """
    runs = sorted(_time_once([*command, f"--jobs={jobs}"]) for _ in range(times))
    seconds, training, memory = runs[times // 2]
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


def _time_once(command):
    """Return the wall time of a process, its training time and its peak memory."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        call = [sys.executable, "-m", *command, f"--results={folder}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": errors}
        started = time.perf_counter()
        process = subprocess.Popen(call, cwd=REPOSITORY, **quiet)
        memory = _wait(process)
        seconds = time.perf_counter() - started
        if process.returncode:
            errors.seek(0)
            reason = errors.read().decode(errors="replace")
            raise InputError(f"{' '.join(command)} failed: {reason}")
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

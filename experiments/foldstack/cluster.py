"""Run tasks on the workers of a Dask cluster.

joblib's Dask backend finds the cluster, but does not run the tasks: data that it scatters is
lost when all workers die, and it waits for ever for a task that kills its workers or that the
scheduler cannot deserialise.
"""

import contextlib
import functools
import hashlib
import os
import platform
import time
import warnings
from concurrent.futures import CancelledError
from importlib.metadata import version
from pathlib import Path

from joblib.parallel import get_active_backend

POLL_SECONDS = 0.05
PACKAGES = ("tensorflow", "keras", "scikeras", "scikit-learn", "numpy")


def active_client():
    """Return the Dask client of an enclosing ``joblib.parallel_config(backend="dask")``, if any."""
    return getattr(get_active_backend()[0], "client", None)


def n_cores(client) -> int:
    """Return how many tasks the workers of a cluster run at once, at least 1."""
    return sum(client.nthreads().values()) or 1


def map_on_workers(client, function, arguments, shared, callback) -> list:
    """Call ``function(*arguments[i], *shared)`` for every i on the workers; return the results.

    The values in `shared` are sent to a worker once; ``callback(i)`` is called when call i has
    finished. A task that a dead worker had under way runs again on another; if all workers are
    dead, once a new one joins. Raises CancelledError or OSError if the connection to the
    scheduler is lost, KilledWorker if a task ends one worker after another, RuntimeError
    ("deserialization" is in the message) if the scheduler cannot deserialise the tasks, and
    ValueError if a worker's `fingerprint` is not that of this process.
    """
    # As results of tasks, not scattered: Dask keeps no more copies of data than it must, and
    # scattered data is lost with the worker that has the last copy. A task runs again.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # as large as the dataset
        data = [client.submit(_identity, value, pure=False) for value in shared]
    alike = functools.partial(client.submit, _call_if_alike, fingerprint(), function, pure=False)
    futures = [alike(*args, *data) for args in arguments]
    results, pending = {}, dict(enumerate(futures))
    try:
        while pending:
            for i in [i for i, future in pending.items() if future.done()]:
                results[i] = pending.pop(i).result()
                callback(i)
            time.sleep(POLL_SECONDS if pending else 0)
    finally:
        with contextlib.suppress(CancelledError, OSError, TimeoutError):
            client.cancel(futures)
    return [results[i] for i in range(len(futures))]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


@functools.cache
def fingerprint() -> dict[str, str]:
    """Return the versions that results depend on, and a checksum of this library's source."""
    source = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source.update(path.read_bytes())
    return versions() | {"foldstack's source": source.hexdigest()[:12]}


def _call_if_alike(client, function, *arguments):
    """Call a function on a worker, if the worker's fingerprint is that of the client."""
    worker = fingerprint()
    if others := [f"{name} {worker[name]}" for name in worker if worker[name] != client.get(name)]:
        raise ValueError(
            f"the Dask worker on {platform.node()} (process {os.getpid()}) has other code or "
            f"packages: {', '.join(others)}; its results could differ"
        )
    return function(*arguments)


def _identity(value):
    return value

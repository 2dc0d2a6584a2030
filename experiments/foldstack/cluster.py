"""Run tasks on the workers of a Dask cluster.

joblib's Dask backend finds the cluster, but does not run the tasks: data that it scatters is
lost when all workers die, and it waits for ever for a task that kills its workers or that the
scheduler cannot deserialise.
"""

import contextlib
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from joblib.parallel import get_active_backend

if TYPE_CHECKING:
    from distributed import Client

POLL_SECONDS = 0.05


def active_client() -> "Client | None":
    """Return the Dask client of an enclosing ``joblib.parallel_config(backend="dask")``, if any."""
    return getattr(get_active_backend()[0], "client", None)


def map_on_workers(
    client: "Client",
    function: Callable,
    arguments: Sequence[tuple],
    shared: Sequence,
    callback: Callable[[int], None],
) -> list:
    """Call ``function(*arguments[i], *shared)`` for every i on the workers.

    A task that a dead worker had under way runs again on another; if all workers are dead,
    once a new one joins.

    Parameters
    ----------
    shared : sequence
        Arguments of all calls; each is sent to a worker once.
    callback : callable
        Called with i when call i has finished.

    Returns
    -------
    list
        The results, in the order of `arguments`.

    Raises
    ------
    concurrent.futures.CancelledError, OSError
        If the connection to the scheduler is lost.
    distributed.KilledWorker
        If a task ends one worker after another.
    RuntimeError
        If the scheduler cannot deserialise the tasks ("deserialization" is in the message).
    """
    # As results of tasks, not scattered: Dask keeps no more copies of data than it must, and
    # scattered data is lost with the worker that has the last copy. A task runs again.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # as large as the dataset
        data = [client.submit(_identity, value, pure=False) for value in shared]
    futures = [client.submit(function, *args, *data, pure=False) for args in arguments]
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


def _identity(value):
    return value

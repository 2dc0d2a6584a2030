"""Call functions on the workers of a Dask cluster, within a block that says so."""

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from experiments.harness.errors import InputError
from experiments.harness.provenance import provenance

if TYPE_CHECKING:
    from distributed import Client

_here = threading.local()


@contextlib.contextmanager
def computing_on(scheduler: str | None) -> Iterator[None]:
    """Let the stacked engine train on a cluster within the block; None changes nothing.

    Parameters
    ----------
    scheduler : str or None
        Address of a running Dask scheduler, as in ``tcp://host:8786``.

    Raises
    ------
    InputError
        If `distributed` is not installed, nothing answers, there are no workers, or they
        run another version of the code or the packages.
    """
    if scheduler is None:
        yield
        return
    try:
        from distributed import Client
        from distributed.comm import get_address_host_port
    except ImportError as error:
        raise InputError("--scheduler needs the package distributed") from error
    try:
        host, _ = get_address_host_port(scheduler, strict=True)
        if not host:
            raise ValueError("it has no host")
    except ValueError as error:
        raise InputError(
            f"--scheduler takes an address as tcp://host:8786, not {scheduler!r}"
        ) from error
    for name in ("distributed", "distributed.client"):  # what matters is raised, too
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {scheduler}") from error
    with client:
        ours, theirs = provenance(), _run_on_workers(client, provenance)
        if not theirs:
            raise InputError(f"the Dask scheduler at {scheduler} has no workers")
        for worker, its in theirs.items():
            if its != ours:
                raise InputError(
                    f"the Dask worker {worker} runs another commit or other packages; "
                    "its results could differ"
                )
        _here.client = client
        try:
            yield
        finally:
            _here.client = None


def _run_on_workers(client, function):
    """Call a function on every worker; whatever stops it, they are not of this project."""
    try:
        return client.run(function)
    except Exception as error:
        raise InputError(
            "a Dask worker cannot run this project's code; start scheduler and workers in its "
            f"folder, as README.md says ({type(error).__name__}: {error})"
        ) from error


def current_client() -> "Client | None":
    """Give the connection that the block is in, if it is in one."""
    return getattr(_here, "client", None)


def map_on_workers(
    client: "Client",
    function: Callable,
    arguments: Sequence[tuple],
    shared: Sequence,
    finished: Callable[[int], None],
) -> list:
    """Call ``function(*arguments[i], *shared)`` for every i, on the workers.

    What a worker had under way when it died runs again on another; if all are gone, once
    there is one again.

    Parameters
    ----------
    shared : sequence
        What all calls need; it is sent to each worker once.
    finished : callable
        Called with i, as calls finish.

    Returns
    -------
    list of results, in the order of the arguments

    Raises
    ------
    InputError
        If the scheduler is gone, or a task ends one worker after another.
    """
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, as_completed

    # As results of a task, not scattered: Dask keeps no more copies of data than it must, and
    # scattered ones are gone with the worker that has the last. A task runs again.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")  # as large as the table
        kept = [client.submit(_same, one, pure=False) for one in shared]
    futures = [client.submit(function, *each, *kept, pure=False) for each in arguments]
    number = {future.key: i for i, future in enumerate(futures)}
    try:
        for future in as_completed(futures, loop=client.loop):
            future.result()  # an error ends it here
            finished(number[future.key])
        return client.gather(futures)
    except KilledWorker as error:
        raise InputError(
            "one and the same task has ended several workers of the Dask cluster; do they "
            "have the memory? Nothing was written"
        ) from error
    except RuntimeError as error:
        if "deserialization" not in str(error):
            raise
        raise InputError(
            "the Dask scheduler does not know this project's code; start it in its folder, too"
        ) from error
    except (CancelledError, OSError) as error:
        raise InputError("the Dask scheduler is gone; nothing was written") from error
    finally:
        with contextlib.suppress(CancelledError, OSError, TimeoutError):
            client.cancel(futures)


def _same(value):
    return value

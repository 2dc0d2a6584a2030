"""Train on the workers of a Dask cluster, with its faults as one-line errors."""

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError

from joblib import parallel_config

from experiments.harness.errors import InputError
from experiments.harness.provenance import provenance


@contextlib.contextmanager
def dask_cluster(address: str | None) -> Iterator[None]:
    """Let foldstack train on a cluster within the block; None changes nothing.

    Raise `InputError` if there is no cluster, or it runs another commit or other packages.
    """
    if address is None:
        yield
        return
    try:  # an optional dependency
        from distributed import Client, KilledWorker
        from distributed.comm import get_address_host_port
    except ImportError as error:
        raise InputError("--scheduler needs the package distributed") from error
    try:
        host, _ = get_address_host_port(address, strict=True)
    except ValueError:
        host = None
    if not host:
        raise InputError(f"`scheduler` must be like tcp://host:8786, got {address!r}")
    for name in ("distributed", "distributed.client"):  # errors are raised as well
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {address}") from error
    with client:
        _check_workers(client, address)
        try:
            with parallel_config(backend="dask", client=client):
                yield
        except KilledWorker as error:
            raise InputError(
                "one task has ended several workers of the Dask cluster; do they have enough "
                "memory? Nothing was written"
            ) from error
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            raise InputError(
                "the Dask scheduler cannot load this project's code; start it in its folder, too"
            ) from error
        except (CancelledError, OSError) as error:
            raise InputError("the Dask scheduler is gone; nothing was written") from error


def _check_workers(client, address):
    try:
        workers = client.run(provenance)
    except Exception as error:
        raise InputError(
            "a Dask worker cannot run this project's code; start scheduler and workers in its "
            f"folder, as README.md says ({type(error).__name__}: {error})"
        ) from error
    if not workers:
        raise InputError(f"the Dask scheduler at {address} has no workers")
    here = provenance()
    for worker, there in workers.items():
        if there != here:
            raise InputError(
                f"the Dask worker {worker} runs another commit or other packages; its results "
                "could differ"
            )

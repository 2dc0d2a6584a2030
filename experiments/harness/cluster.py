"""Train on the workers of a Dask cluster, with its faults as one-line errors."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError

from joblib import parallel_config

from experiments.harness.errors import InputError
from experiments.harness.provenance import provenance

SECONDS = 6  # to wait for an answer


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
        from distributed.comm import connect, get_address_host_port
        from distributed.security import Security
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

    async def shake_hands():  # a client would wait for ever for an answer
        secured = Security().get_connection_args("client")
        comm = await asyncio.wait_for(connect(address, timeout=SECONDS, **secured), SECONDS)
        await comm.close()

    try:
        asyncio.run(shake_hands())
        client = Client(address, timeout=SECONDS, set_as_default=False)
    except Exception as error:  # of any type, by what answers there and by Dask's configuration
        reason = str(error) or type(error).__name__
        hint = "; TLS needs certificates in Dask's configuration" if "tls:" in address else ""
        raise InputError(f"no Dask scheduler answers at {address}{hint} ({reason})") from error
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

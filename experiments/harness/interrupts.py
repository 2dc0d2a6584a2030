"""What Ctrl-C does to a script, whenever it comes: one line, exit status 130, no trace."""

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

_came = False


def runs_alone() -> bool:
    """Whether the process is a script of ours, not a test or a notebook that calls one."""
    return getattr(sys.modules["__main__"], "__package__", None) == "experiments"


def end_at_once() -> None:
    """Let an interrupt end the script on the spot, as long as only imports run."""
    named = [part for part in sys.orig_argv if "experiments." in part]
    script = named[0].rpartition(".")[2] if named else "experiments"

    def end(signal_number, frame):
        os.write(2, f"{script}: interrupted; nothing was written\n".encode())
        os._exit(130)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it may be ignored
        signal.signal(signal.SIGINT, end)


def raise_from_now_on() -> None:
    """Let an interrupt be an exception: there is something to clean up."""

    def note(signal_number, frame):
        global _came
        _came = True
        raise KeyboardInterrupt

    if runs_alone() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)


def came() -> bool:
    """Whether there was one; a package may have made another error of it in its import."""
    return _came


def ignore_from_now_on() -> None:
    """Let a script that is done end as such."""
    if runs_alone():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def end_interrupted(script: str, consequence: str) -> None:
    """Say what an interrupt means, and end the process with status 130.

    Python would end itself by the signal, not by this status, where the interrupt came while
    code made from text ran, as it does within many imports.
    """
    print(f"{script}: interrupted; {consequence}", file=sys.stderr)
    if not runs_alone():
        sys.exit(130)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one need not be patient
    atexit._run_exitfuncs()  # worker processes and what they share
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)


@contextlib.contextmanager
def kept_from_children() -> Iterator[None]:
    """Keep interrupts from processes started in the block: they are this one's to end.

    A terminal sends Ctrl-C to all of them, and each would print a trace of its own.
    """
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # Python's own; to start it lets them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

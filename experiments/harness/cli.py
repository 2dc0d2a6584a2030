"""The command line that every script shares."""

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence

from experiments.harness import files, settings
from experiments.harness.errors import InputError, is_out_of_memory, printable
from experiments.harness.parent import follow_parent


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        line = printable(" ".join(message.split()))
        self.exit(2, f"{self.prog}: {line}; see --help\n")


def parse(command: str, description: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options of a command; print an invalid one on one line and exit with status 2.

    `argv` replaces the arguments of the process; ``--from-make`` alone stands for the variables
    on make's command line.
    """
    formatter = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        command, description=description, formatter_class=formatter, allow_abbrev=False
    )
    taken = settings.COMMANDS[command]
    for name in taken.options:
        option, default = settings.OPTIONS[name], taken.default(name)
        value = {"metavar": option.type.metavar} if option.type else {"action": "store_true"}
        parser.add_argument(option.flag, default=default, help=option.describe(default), **value)
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv == ["--from-make"]:
        argv = settings.make_arguments(command)
    options = parser.parse_args(argv)
    try:
        for name, value in vars(options).items():
            if isinstance(value, str):
                setattr(options, name, settings.OPTIONS[name].parse(value))
    except ValueError as error:
        parser.error(str(error))
    return options


def script(command: str, description: str, action: Callable, interrupted=None) -> Callable:
    """Return the `main` of a script: parse the arguments, then run `action` with the options."""

    def main(argv=None):
        follow_parent()
        open_closed_streams()
        options = parse(command, description, argv)
        run_command(command, lambda: action(options), interrupted)

    return main


def open_closed_streams() -> None:
    """Open standard streams that are closed, as by ``>&-``, to nowhere.

    Otherwise the next files that are opened would take their numbers, and be printed into.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def run_command(command: str, action: Callable[[], None], interrupted: str | None = None) -> None:
    """Run a command; report user errors on one line and exit with status 2.

    Ctrl-C exits with status 130 and the line `interrupted`, by default whether files were
    written. A closed pipe, as in ``| head``, exits with status 141.
    """
    is_script = getattr(sys.modules["__main__"], "__package__", None) == "experiments"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without “ and ”
    try:
        action()
        print(end="", flush=True)  # to nowhere if standard output is closed
        if is_script:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except BaseException as error:
        files.remove_created()
        if isinstance(error, KeyboardInterrupt):
            written = (
                "what was written before is whole" if files.written() else "nothing was written"
            )
            print(f"{command}: interrupted; {interrupted or written}", file=sys.stderr, flush=True)
            if is_script:  # a normal exit waits for threads, which may train for minutes
                with contextlib.suppress(OSError):
                    print(end="", flush=True)
                os._exit(130)
            sys.exit(130)
        if isinstance(error, OSError) and error.errno:  # the system's, such as a full disk
            where = f": {error.filename}" if error.filename else ""
            error = InputError(f"{error.strerror}{where}")
        if is_out_of_memory(error):
            error = InputError("the memory does not suffice")
        if not isinstance(error, InputError):
            raise
        print(f"{command}: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        sys.exit(2)

"""The error that a command reports on one line, and what may be shown on a terminal."""


class InputError(Exception):
    """The user's input cannot be used; reported on one line, exit status 2."""


def printable(text: str) -> str:
    """Return text that is safe to show on a terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]

"""The errors that a command reports on one line, and what may be shown on a terminal."""


class InputError(Exception):
    """The user's input cannot be used; reported on one line, exit status 2."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is Python's or TensorFlow's for memory that runs out."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def printable(text: str) -> str:
    """Return text that is safe to show on a terminal."""
    return text if text.isprintable() else ascii(text)[1:-1]

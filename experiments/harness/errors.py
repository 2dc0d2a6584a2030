"""The error that a command reports on one line."""


class InputError(Exception):
    """The user's input cannot be used; reported on one line, exit status 2."""

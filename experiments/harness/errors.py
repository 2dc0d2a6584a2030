"""The errors that are the user's to mend."""


class InputError(Exception):
    """What the user gave cannot be used; printed as one line, exit status 2."""

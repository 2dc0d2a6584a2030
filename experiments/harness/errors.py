"""The errors that tell their reader what to do."""


class InputError(Exception):
    """What the user gave cannot be used; printed as one line, exit status 2."""


class Unstackable(ValueError):
    """A part of a model or estimator has no stacked form.

    Parameters
    ----------
    part : str
        What it is, to stand in front of "has no stacked form".
    """

    def __init__(self, part: str):
        super().__init__(
            f"{part} has no stacked form; use --engine scikit-learn (for a search, "
            "scikit-learn's own RandomizedSearchCV)"
        )

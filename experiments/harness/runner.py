"""Run one arm: load, cross-validate, write, print.

Modules that import TensorFlow are imported only once the options and the data have
been checked: the import takes seconds, a mistake should be answered at once.
"""

import hashlib
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from experiments.harness.cli import add_experiment_options, answer_mistakes, script_parser
from experiments.harness.errors import InputError
from experiments.harness.provenance import provenance

if TYPE_CHECKING:
    from experiments.harness.dataset import Dataset


def run_arm(
    name: str, settings: Mapping[str, object], description: str, argv: Sequence[str] | None = None
) -> None:
    """Be the whole of an arm's script: read options, cross-validate, write tables, print.

    Parameters
    ----------
    name : str
        Of the arm, and of its table.
    settings : mapping
        Keyword parameters of `experiments.foldstack.network.build_network`.
    description : str
        What ``--help`` says.
    argv : sequence of str, optional
        Options, instead of those of the command line.
    """
    parser = script_parser(name, description)
    add_experiment_options(parser)
    options = parser.parse_args(argv)
    answer_mistakes(name, lambda: cross_validate_arm(name, settings, options))


def cross_validate_arm(name: str, settings: Mapping[str, object], options: Namespace) -> None:
    """Cross-validate one arm with options already read, write its tables, print."""
    clock = _Clock()
    if options.curves and options.engine != "stacked":
        raise InputError("--curves needs --engine stacked")
    if options.scheduler and options.engine != "stacked":
        raise InputError("--scheduler needs --engine stacked")

    from experiments.harness.dataset import read_dataset

    data = read_dataset(options.data, folds=options.folds, target=options.target)

    from experiments.harness import files
    from experiments.harness import store as tables

    files.check_folder(options.results)
    tables.check_others(options.results, name)  # they go into the summaries: now or never

    import pandas as pd

    from experiments.foldstack.classifier import build_pipeline
    from experiments.foldstack.cluster import computing_on
    from experiments.foldstack.cross_validation import cross_validate, repeated_splits
    from experiments.harness.progress import progress_bar

    clock.lap("import")
    pipeline = build_pipeline(settings, epochs=options.epochs, random_state=options.seed)
    splits = repeated_splits(
        data.X, data.y, folds=options.folds, repeats=options.repeats, seed=options.seed
    )
    with computing_on(options.scheduler), progress_bar(name, len(splits)) as progress:
        scores = cross_validate(
            pipeline, data.X, data.y, splits, engine=options.engine, jobs=options.jobs,
            return_curves=options.curves, progress=progress,
        )  # fmt: skip
    check_finite(scores)
    clock.lap("training")
    if options.engine == "stacked":
        clock.move("training", "building", scores["build_time"].sum())
        clock.move("training", "scoring", scores["score_time"].sum() / options.jobs)

    folds = pd.DataFrame(
        {"experiment": name}
        | fold_columns(splits, options.folds, scores)
        | {"collapsed": scores["collapsed"].astype(int)}
    )
    record = record_of(
        name, options, data, splits, settings=dict(settings),
        batch_size=pipeline[-1].batch_size, engine=options.engine, jobs=options.jobs,
        seconds={part: round(seconds, 2) for part, seconds in clock.seconds.items()},
    )  # fmt: skip
    path = tables.write_arm(
        options.results, folds, record,
        _curve_table(folds, scores["curves"]) if options.curves else None,
    )  # fmt: skip
    print(_result_line(folds))
    print(_published_line(name, tables.read_published(data.sha256)), end="")
    print(f"  written:   {path}")
    if options.verbose:
        clock.lap("writing")
        print(f"  seconds:   {clock}")


class _Clock:
    """Where the time goes, in seconds by name."""

    def __init__(self):
        self.seconds = {}
        self._last = time.perf_counter()

    def lap(self, name):
        """Book the time since the last lap under `name`."""
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now

    def move(self, source, target, seconds):
        """Book a part of one name's time under another."""
        self.seconds[source] -= seconds
        self.seconds[target] = seconds

    def __str__(self):
        return ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.seconds.items())


def check_finite(scores: Mapping) -> None:
    """Make sure that every network has a loss.

    Raises
    ------
    InputError
        If a loss is not finite: the network has diverged.
    """
    lost = ~np.isfinite([scores["test_log_loss"], scores["train_log_loss"]]).all(axis=0)
    if lost.any():
        raise InputError(
            f"{lost.sum()} of {len(lost)} networks diverged, their loss is not finite; nothing "
            "was written. The learning rate is too large for this table, or a column is odd"
        )


def fold_columns(splits: Sequence, folds: int, scores: Mapping) -> dict:
    """Lay out scores as the columns of a table of folds."""
    number = np.arange(len(splits))
    return {
        "repeat": number // folds + 1,
        "fold": number % folds + 1,
        "n_train": [len(train) for train, _ in splits],
        "n_test": [len(test) for _, test in splits],
        "accuracy": scores["test_score"],
        "log_loss": scores["test_log_loss"],
        "train_accuracy": scores["train_score"],
        "train_log_loss": scores["train_log_loss"],
    }


def _curve_table(folds, curves):
    epochs = curves["test_score"].shape[1]
    table = folds[["experiment", "repeat", "fold"]].loc[folds.index.repeat(epochs)]
    return table.assign(
        epoch=list(range(1, epochs + 1)) * len(folds),
        accuracy=curves["test_score"].ravel(),
        log_loss=curves["test_log_loss"].ravel(),
        train_accuracy=curves["train_score"].ravel(),
        train_log_loss=curves["train_log_loss"].ravel(),
    )


def record_of(
    name: str, options: Namespace, data: "Dataset", splits: Sequence, **more: object
) -> dict:
    """Describe what produced a table: options, data, splits, versions, commit."""
    tests = b"".join(test.astype("<i8").tobytes() for _, test in splits)
    return (
        {
            "experiment": name,
            "repeats": options.repeats,
            "folds": options.folds,
            "epochs": options.epochs,
            "seed": options.seed,
            "data": data.origin(),
            "splits_sha256": hashlib.sha256(tests).hexdigest(),
        }
        | more
        | provenance()
    )


def _result_line(folds):
    """Say the result as the tutorial prints it: mean (standard deviation over folds)."""
    accuracy = folds["accuracy"]
    name = folds["experiment"].iloc[0].capitalize()
    collapsed = folds["collapsed"].sum()
    return f"{name}: {accuracy.mean():.2%} ({accuracy.std(ddof=0):.2%})" + (
        f", {collapsed} of {len(folds)} networks collapsed" if collapsed else ""
    )


def _published_line(name, published):
    editions = [
        f"{row.edition}: "
        + (
            f"“{row.text}”"
            if isinstance(row.text, str)
            else f"{row.mean_accuracy:.2%} ({row.std_accuracy:.2%})"
        )
        for row in published[published["experiment"] == name].itertuples()
    ]
    return f"  published: {', '.join(editions)}\n" if editions else ""

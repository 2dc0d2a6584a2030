"""Run an experiment: options → dataset → checks → splits → training → metadata → tables.

TensorFlow takes seconds to import, so the options, the dataset and the results folder are
checked before `start_tensorflow` is called; scripts reach the library through `foldstack`'s
lazy names afterwards.
"""

import hashlib
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from experiments import foldstack
from experiments.harness import store
from experiments.harness.cli import parse, run_command
from experiments.harness.cluster import dask_cluster
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError
from experiments.harness.files import check_folder, locked
from experiments.harness.progress import progress_bar
from experiments.harness.provenance import provenance
from experiments.harness.settings import recorded
from experiments.harness.tensorflow import start_tensorflow


class Run:
    """One run of a command: its options, its dataset, and what experiments do with them.

    Parameters
    ----------
    command : str
    options : Namespace

    Attributes
    ----------
    data : Dataset
    results : Path
        The results folder.
    seconds : dict of str to float
        Wall time by phase.

    Raises
    ------
    InputError
        If the dataset or the results folder cannot be used.
    """

    def __init__(self, command: str, options: Namespace):
        self.seconds = {}
        self._last = time.perf_counter()
        self.command = command
        self.options = options
        self.results = options.results
        target = getattr(options, "target", None)
        self.data = read_dataset(options.data, folds=getattr(options, "folds", 10), target=target)
        check_folder(self.results)

    def start(self) -> None:
        """Import TensorFlow."""
        start_tensorflow()
        self.lap("import")

    def lap(self, phase: str) -> None:
        """Record the time since the last lap."""
        now = time.perf_counter()
        self.seconds[phase] = now - self._last
        self._last = now

    @cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The stratified splits, the same for every experiment with this seed."""
        options = self.options
        return foldstack.repeated_splits(
            self.data.X,
            self.data.y,
            n_splits=options.folds,
            n_repeats=getattr(options, "repeats", 1),
            seed=options.seed,
        )

    def pipeline(self, settings: Mapping[str, object] = {}, **options):
        """Return the unfitted pipeline of the network with these settings."""
        options = {"epochs": self.options.epochs, "random_state": self.options.seed} | options
        return foldstack.build_pipeline(**options, **settings)

    def cross_validate(self, pipeline, splits=None, *, engine="stacked", n_jobs=None, **options):
        """Cross-validate a pipeline; see `foldstack.cross_validate` for further options.

        Raises
        ------
        InputError
            If the library cannot train such a pipeline.
        """
        options |= {
            "cv": self.splits if splits is None else splits,
            "n_jobs": n_jobs or self.options.jobs,
        }
        sequential = foldstack.cross_validate_sequentially
        validate = foldstack.cross_validate if engine == "stacked" else sequential
        try:
            return validate(pipeline, self.data.X, self.data.y, **options)
        except ValueError as error:
            raise InputError(str(error)) from error

    def progress(self, total: float, label: str | None = None):
        """Return a context manager that shows a progress bar and connects to a cluster, if any."""
        return progress_bar(label or self.command, total)

    def cluster(self):
        """Return a context manager within which training runs on the Dask cluster, if any."""
        return dask_cluster(getattr(self.options, "scheduler", None))

    def sweep(self, settings: Sequence[Mapping[str, object]]) -> pd.DataFrame:
        """Cross-validate many settings on the same splits, and save each as soon as it is done.

        The rows are in ``<command>-folds.csv``. Settings that are already there are kept if
        the dataset, options, versions and commit are the same.

        Parameters
        ----------
        settings : sequence of mappings
            Keyword parameters of `foldstack.build_network`.

        Returns
        -------
        DataFrame
            ``setting`` (its number), the columns of a per-fold table, and ``collapsed``.
        """
        name = f"{self.command}-folds"
        metadata = self.metadata(settings=[dict(setting) for setting in settings])
        with locked(self.results):
            parts = self._finished_settings(name, metadata)
        sizes = [self._size(setting) for setting in settings]
        todo = range(len(parts), len(settings))
        total = sum(sizes[number] for number in todo) * len(self.splits)
        with self.cluster(), self.progress(total) as progress:
            for number in todo:
                scores = self.cross_validate(
                    self.pipeline(settings[number]),
                    progress=lambda networks, size=sizes[number]: progress(size * networks),
                )
                columns = self.per_fold_columns(scores)
                columns["collapsed"] = scores["collapsed"].astype(int)
                parts.append(pd.DataFrame({"setting": number} | columns))
                store.write_tables(self.results, {name: pd.concat(parts)}, metadata)
                foldstack.clear_session()
        return pd.concat(parts, ignore_index=True)

    def per_fold_columns(self, scores: Mapping, splits: Sequence | None = None) -> dict:
        """Return scores as the columns of a per-fold table."""
        splits = self.splits if splits is None else splits
        number = np.arange(len(splits))
        return {
            "repeat": number // self.options.folds + 1,
            "fold": number % self.options.folds + 1,
            "n_train": [len(train) for train, _ in splits],
            "n_test": [len(test) for _, test in splits],
            "accuracy": scores["test_score"],
            "log_loss": scores["test_log_loss"],
            "train_accuracy": scores["train_score"],
            "train_log_loss": scores["train_log_loss"],
        }

    def metadata(self, **more: object) -> dict:
        """Describe what produces a table: options, dataset, splits, versions, commit."""
        tests = b"".join(test.astype("<i8").tobytes() for _, test in self.splits)
        return (
            {"experiment": self.command}
            | recorded(self.command, self.options)
            | {"data": self.data.origin(), "splits_sha256": hashlib.sha256(tests).hexdigest()}
            | more
            | provenance()
        )

    def write(
        self,
        frames: Mapping[str, pd.DataFrame],
        files: Mapping[str, bytes | None] | None = None,
        **more: object,
    ) -> Path:
        """Write tables with their metadata, and other files beside them, all or none."""
        return store.write_tables(self.results, frames, self.metadata(**more), files)

    def _finished_settings(self, name, metadata):
        """Read the settings of an earlier, interrupted run, if everything else is the same."""
        if not store.exists(self.results, name) or not (self.results / f"{name}.json").exists():
            return []
        before = store.read_metadata(self.results, name)
        del before[store.CHECKSUM]
        if before != store.json_round_trip(metadata):
            return []
        folds = store.read_table(self.results, name)
        return [rows for _, rows in folds.groupby("setting")]

    def _size(self, settings):
        """Estimate a network's relative training time: its weights, plus a constant part."""
        features = self.data.X.shape[1]
        meta = {"n_features_in_": features, "X_shape_": (1, features)}
        network = foldstack.build_network(meta, {"epochs": 1, "batch_size": 1}, **settings)
        return network.count_params() + 10_000


def run(
    command: str,
    description: str,
    experiment: Callable[[Run], None],
    argv: Sequence[str] | None = None,
    *,
    check: Callable[[Run], None] = lambda run: None,
    interrupted: str | None = None,
) -> None:
    """Run a command's experiment.

    Parameters
    ----------
    command : str
    description : str
        Shown by ``--help``.
    experiment : callable
        Called with the `Run` once TensorFlow is imported.
    argv : sequence of str, optional
        Options, instead of those of the command line.
    check : callable
        Called with the `Run` before TensorFlow is imported.
    interrupted : str, optional
        What to print if the run is interrupted.
    """
    options = parse(command, description, argv)

    def action():
        this = Run(command, options)
        check(this)
        this.start()
        experiment(this)

    run_command(command, action, interrupted)


def run_arm(
    name: str, settings: Mapping[str, object], description: str, argv: Sequence[str] | None = None
) -> None:
    """Run an arm's script: cross-validate the network with its settings, write, print."""
    run(name, description, lambda this: cross_validate_arm(this, settings), argv, check=check_arm)


def check_arm(run: Run) -> None:
    """Check an arm's options, and the tables that its own goes into a summary with."""
    for option in ("curves", "scheduler"):
        if getattr(run.options, option) and run.options.engine != "stacked":
            raise InputError(f"--{option} needs --engine stacked")
    store.check_other_arms(run.results, run.command)


def cross_validate_arm(run: Run, settings: Mapping[str, object]) -> None:
    """Cross-validate an arm, write its table and learning curves, print the result."""
    options = run.options
    pipeline = run.pipeline(settings)
    more = {"return_curves": True} if options.curves else {}
    with run.cluster(), run.progress(len(run.splits)) as progress:
        scores = run.cross_validate(pipeline, engine=options.engine, progress=progress, **more)
    raise_if_diverged(scores)
    run.lap("training")
    if options.engine == "stacked":
        for phase, seconds in (
            ("building", scores["build_time"].sum()),
            ("scoring", scores["score_time"].sum() / options.jobs),
        ):
            run.seconds["training"] -= seconds
            run.seconds[phase] = seconds

    folds = pd.DataFrame(
        {"experiment": run.command}
        | run.per_fold_columns(scores)
        | {"collapsed": scores["collapsed"].astype(int)}
    )
    metadata = run.metadata(
        settings=dict(settings),
        batch_size=pipeline[-1].batch_size,
        jobs=options.jobs,
        seconds={phase: round(seconds, 2) for phase, seconds in run.seconds.items()},
    )
    curves = _curve_table(folds, scores["curves"]) if options.curves else None
    path = store.write_arm(run.results, folds, metadata, curves)
    print(_result_line(folds))
    print(_published_line(run.command, store.read_published(run.data.sha256)), end="")
    print(f"  written:   {path}")
    if options.verbose:
        run.lap("writing")
        phases = (f"{phase} {seconds:.2f}" for phase, seconds in run.seconds.items())
        print(f"  seconds:   {', '.join(phases)}")


def raise_if_diverged(scores: Mapping) -> None:
    """Raise `InputError` if any network has a non-finite loss."""
    lost = ~np.isfinite([scores["test_log_loss"], scores["train_log_loss"]]).all(axis=0)
    if lost.any():
        raise InputError(
            f"{lost.sum()} of {len(lost)} networks diverged, their loss is not finite; nothing "
            "was written. The learning rate is too large for this dataset, or a column is odd"
        )


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


def _result_line(folds):
    """Format the result as the tutorial prints it: mean (standard deviation over folds)."""
    accuracy = folds["accuracy"]
    name = folds["experiment"].iloc[0].capitalize()
    collapsed = folds["collapsed"].sum()
    return f"{name}: {accuracy.mean():.2%} ({accuracy.std(ddof=0):.2%})" + (
        f", {collapsed} of {len(folds)} networks collapsed" if collapsed else ""
    )


def _published_line(name: str, published: pd.DataFrame) -> Iterable[str]:
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

"""Run an experiment: options → dataset → checks → splits → training → metadata → tables.

TensorFlow takes seconds to import, so everything that a user may have got wrong is checked
before `start_tensorflow`; afterwards scripts reach the library through `foldstack`'s lazy names.
"""

import contextlib
import functools
import hashlib
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments import foldstack
from experiments.foldstack.comparison import prediction_interval, t_interval
from experiments.harness import cli, store
from experiments.harness.cluster import dask_cluster
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError, is_out_of_memory
from experiments.harness.growing import grow, unfinished
from experiments.harness.progress import progress_bar
from experiments.harness.provenance import provenance
from experiments.harness.replacing import check_results
from experiments.harness.runs import dataset_accuracies, single_runs
from experiments.harness.settings import READING, recorded
from experiments.harness.tensorflow import start_tensorflow, worker_processes


class Run:
    """One run of a command on a dataset; raise `InputError` if it cannot be read or written."""

    def __init__(self, command: str, options: Namespace):
        self.seconds = {}  # wall time by phase
        self._last = time.perf_counter()
        self.command = command
        self.options = options
        self.results = options.results
        reading = {name: value for name, value in vars(options).items() if name in READING}
        # Without a number of folds the plan decides; a class of two rows cannot be split twice.
        self.data = read_dataset(options.data, folds=options.folds or 3, **reading)
        check_results(command, options)

    def lap(self, phase: str) -> None:
        """Record the wall time since the last lap."""
        now = time.perf_counter()
        self.seconds[phase] = now - self._last
        self._last = now

    @functools.cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The (train, test) splits, the same for every experiment with this seed."""
        repeats = getattr(self.options, "repeats", 1)
        more = {"seed": self.options.seed, "task": self.data.task}
        X, y, folds = self.data.X, self.data.y, self.options.folds
        return foldstack.repeated_splits(X, y, n_splits=folds, n_repeats=repeats, **more)

    @functools.cached_property
    def seeds(self) -> list[list[int]]:
        """The seeds of the networks, of shape (n_seeds, n_splits)."""
        n_seeds, n_splits = getattr(self.options, "seeds", 1), len(self.splits)
        roots = [(self.options.seed, number) for number in range(n_seeds)]
        return [foldstack.network_seeds(root, n_splits) for root in roots]

    @functools.cached_property
    def networks(self) -> list[tuple[int, int]]:
        """The pairs (repeat, seed), both from 1, that stand for a network on every fold."""
        repeats = range(1, len(self.splits) // self.options.folds + 1)
        return [(repeat, seed + 1) for seed in range(len(self.seeds)) for repeat in repeats]

    def pipeline(self, settings: Mapping[str, object] = {}, **options):
        """Return the unfitted pipeline of the network with these settings."""
        options = {"epochs": self.options.epochs, "random_state": self.options.seed} | options
        options |= {"task": self.data.task}
        pipeline = foldstack.build_pipeline(**options | settings)
        if self.data.needs_preparation:
            pipeline.steps.insert(0, ("prepare", foldstack.build_preparation()))
        return pipeline

    @contextlib.contextmanager
    def training(self, networks: float, label: str | None = None) -> Iterator[Callable]:
        """Show a progress bar and use the Dask cluster, if any; yield the progress callback.

        Within the block, a ValueError of the library becomes an `InputError`, and so does memory
        that runs out.
        """
        scheduler = getattr(self.options, "scheduler", None)
        with dask_cluster(scheduler), progress_bar(label or self.command, networks) as progress:
            try:
                yield progress
            except ValueError as error:
                raise InputError(str(error)) from error
            except Exception as error:
                stacked = getattr(self.options, "engine", "stacked") == "stacked"
                if not (stacked and is_out_of_memory(error)):
                    raise
                raise InputError(self._memory_needed()) from error

    def _memory_needed(self):
        """Say how much memory a stack needs: about five times its samples (measured: 4 to 6)."""
        network, jobs = 4 * self.data.X.size, self.options.jobs  # bytes in single precision
        engine = foldstack.engine
        copies = max(1, min(engine.STACK_COPIES, engine.STACK_BYTES // network))
        need = max(1, 5 * copies * network // 2**20)
        return (
            f"the memory does not suffice: a stack of up to {copies} networks needs about {need} "
            f"MiB, and {jobs} train at once; set fewer jobs, or use fewer rows or columns"
        )

    def cross_validate(self, pipeline, splits=None, *, engine="stacked", **options) -> dict:
        """Cross-validate a pipeline; options are those of `foldstack.cross_validate`."""
        options = {"n_jobs": self.options.jobs, "cv": splits or self.splits} | options
        if engine == "stacked":
            options = {"return_train_score": True, "error_score": "raise"} | options
            return foldstack.cross_validate(pipeline, self.data.X, self.data.y, **options)
        cross_validate = foldstack.cross_validate_sequentially
        with worker_processes(options["n_jobs"]):
            return cross_validate(pipeline, self.data.X, self.data.y, **options)

    def split_numbers(self, networks: Sequence[tuple[int, int]]) -> list[int]:
        """Return the index in `splits` of every fold of networks, given as in `networks`."""
        folds = self.options.folds
        return [(repeat - 1) * folds + fold for repeat, _ in networks for fold in range(folds)]

    def fold_columns(self, networks: Sequence[tuple[int, int]] | None = None) -> dict:
        """Return the columns that identify and describe the splits, or the networks on them."""
        number, folds, seed = np.arange(len(self.splits)), self.options.folds, {}
        if networks is not None:
            number = np.array(self.split_numbers(networks), int)
            seed = {"seed": np.repeat([seed for _, seed in networks], folds)}
        columns = {"repeat": number // folds + 1, "fold": number % folds + 1} | seed
        columns["n_train"] = [len(self.splits[i][0]) for i in number]
        columns["n_test"] = [len(self.splits[i][1]) for i in number]
        return columns

    def per_fold_frame(
        self, scores: Mapping, networks: Sequence[tuple[int, int]] | None = None, **setting
    ) -> pd.DataFrame:
        """Return scores as a per-fold table, whose first columns are those of `setting`."""
        columns = {name: scores[key] for name, key in store.SCORES.items()}
        if networks is not None:
            columns["collapsed"] = scores["collapsed"].astype(int)
        return pd.DataFrame(setting | self.fold_columns(networks) | columns)

    def metadata(self, **more: object) -> dict:
        """Describe what produces a table: options, dataset, splits, versions, commit."""
        tests = b"".join(test.astype("<i8").tobytes() for _, test in self.splits)
        options = recorded(self.command, self.options)
        data = {"data": self.data.origin(), "splits_sha256": hashlib.sha256(tests).hexdigest()}
        return {"experiment": self.command} | options | data | more | provenance()

    def write(self, frames: Mapping[str, pd.DataFrame], files=None, **more: object) -> Path:
        """Write tables with their metadata, and other files beside them, all or none."""
        return store.write_tables(self.results, frames, self.metadata(**more), files)

    def size(self, settings: Mapping[str, object]) -> int:
        """Estimate a network's relative training time: its weights, plus a constant part."""
        meta = {"n_features_in_": self.data.X.shape[1], "X_shape_": (1,)}
        epochs = settings.get("epochs", self.options.epochs) / self.options.epochs
        settings = {name: value for name, value in settings.items() if name != "epochs"}
        network = foldstack.build_network(meta, {"epochs": 1, "batch_size": 1}, **settings)
        return round(epochs * (network.count_params() + 10_000))


CURVE_KEYS = ["repeat", "fold", *store.SCORES]  # a curve ends in the scores of its network


def script(
    command: str, description: str, experiment: Callable, *, check=None, interrupted=None
) -> Callable:
    """Return the `main` of a script: `check` before TensorFlow is imported, then `experiment`."""
    action = experiment_action(command, experiment, check)
    return cli.script(command, description, action, interrupted)


def experiment_action(command: str, experiment: Callable, check=None) -> Callable:
    """Return the function that runs an experiment with the options that it is called with."""

    def action(options):
        this = Run(command, options)
        if check:
            check(this)
        if this.data.sha256 != store.SONAR_SHA256:
            print(*this.data.describe(), sep="\n", flush=True)
        start_tensorflow()
        this.lap("import")
        experiment(this)

    return action


def arm_script(name: str, description: str, settings: Mapping[str, object]) -> Callable:
    """Return the `main` of an arm: cross-validate its network, write and print the result."""
    return script(
        name, description, lambda this: cross_validate_arm(this, settings), check=check_arm
    )


def check_arm(this: Run) -> None:
    """Check an arm's options, and the tables that are summarised together with its own."""
    for option in ("curves", "scheduler"):
        if getattr(this.options, option) and this.options.engine != "stacked":
            raise InputError(f"--{option} needs --engine stacked")
    store.check_other_arms(this.results, this.command)


def cross_validate_arm(this: Run, settings: Mapping[str, object]) -> None:
    """Cross-validate an arm, write its table and learning curves, print the result."""
    name, options, seconds = this.command, this.options, this.seconds
    metadata = this.metadata(settings=dict(settings), batch_size=this.pipeline()[-1].batch_size)
    curves = _earlier_curves(this) if options.curves else None
    inside = {"building": 0.0, "scoring": 0.0}

    def tabulate(_, scores, networks):
        nonlocal curves
        raise_if_diverged(scores)
        folds = this.per_fold_frame(scores, networks, experiment=name)
        if "curves" in scores:
            curves = pd.concat([curves, _curve_table(folds, scores["curves"])])
        if options.engine == "stacked":
            inside["building"] += scores["build_time"].sum()
            inside["scoring"] += scores["score_time"].sum() / options.jobs
        return folds

    def with_curves(folds):
        """Select the rows whose learning curves are there, and those of further seeds."""
        further = folds["seed"] > 1
        if curves is None:
            return folds[further]
        last = curves[curves["epoch"] == options.epochs]
        there = folds.set_index(CURVE_KEYS).index.isin(last.set_index(CURVE_KEYS).index)
        return folds[there | further]

    more = {"engine": options.engine}
    if options.curves:
        more |= {"kept": with_curves, "curves": True}
    folds = grow(this, name, "experiment", {name: settings}, tabulate, metadata, **more)
    this.lap("training")
    if options.engine == "stacked":
        seconds |= inside
        seconds["training"] -= sum(inside.values())
    if options.curves:
        curves = curves.drop_duplicates(["repeat", "fold", "epoch"], keep="last")
        curves = curves[curves["repeat"].isin(folds["repeat"])]
        curves = curves.sort_values(["repeat", "fold", "epoch"])
    rounded = {phase: round(duration, 2) for phase, duration in seconds.items()}
    metadata |= {"jobs": options.jobs, "seconds": rounded}
    path = store.write_arm(this.results, folds, metadata, curves, unfinished(name))
    _print_result(folds, store.read_published(this.data.sha256))
    print(f"  written:   {path}")
    if options.verbose:
        this.lap("writing")
        phases = (f"{phase} {duration:.2f}" for phase, duration in seconds.items())
        print(f"  seconds:   {', '.join(phases)}")


def _earlier_curves(this):
    """Read the whole learning curves of an earlier run; None if there are none."""
    with contextlib.suppress(InputError):
        curves = store.read_table(this.results, f"{this.command}-curves", "network-curves")
        if curves["epoch"].max() == this.options.epochs:
            whole = curves.groupby(["repeat", "fold"])["epoch"].transform("nunique")
            return curves[whole == this.options.epochs]
    return None


def raise_if_diverged(scores: Mapping) -> None:
    """Raise `InputError` if any network has a non-finite loss."""
    lost = ~np.isfinite([scores["test_log_loss"], scores["train_log_loss"]]).all(axis=0)
    if lost.any():
        diverged = f"{lost.sum()} of {len(lost)} networks diverged, their loss is not finite"
        cause = "The learning rate is too large for this dataset, or a column is odd"
        raise InputError(f"{diverged}; the table was not written. {cause}")


def _curve_table(folds, curves):
    epochs = curves["test_score"].shape[1]
    table = folds[["experiment", "repeat", "fold"]].loc[folds.index.repeat(epochs)]
    columns = {name: curves[key].ravel() for name, key in store.SCORES.items()}
    return table.assign(epoch=list(range(1, epochs + 1)) * len(folds), **columns)


def _print_result(folds, published):
    """Print the result as the tutorial does, mean (standard deviation over folds), and its own."""
    name, accuracy, collapsed = folds["experiment"][0], folds["accuracy"], folds["collapsed"].sum()
    line = f"{name.capitalize()}: {accuracy.mean():.2%} ({accuracy.std(ddof=0):.2%})"
    print(line + (f", {collapsed} of {len(folds):,} networks collapsed" if collapsed else ""))
    runs = single_runs(folds)
    if len(runs) > 1:
        _, low, high, _ = t_interval(dataset_accuracies(folds))
        print(f"  mean:      {low:.1f}% to {high:.1f}%, with 95% confidence")
        _, low, high = prediction_interval(runs)
        n_folds = folds["fold"].nunique()
        print(f"  one run of {n_folds} folds: {low:.1f}% to {high:.1f}%, 95 times in 100")
    editions = []
    for row in published[published["experiment"] == name].itertuples():
        result = f"{row.mean_accuracy:.2%} ({row.std_accuracy:.2%})"
        text = f"“{row.text}”" if isinstance(row.text, str) else result
        editions.append(f"{row.edition}: {text}")
    if editions:
        print(f"  published: {', '.join(editions)}")

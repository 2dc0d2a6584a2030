"""Cross-validate many settings of the network on the same splits, and go on where it stopped."""

from argparse import Namespace
from collections.abc import Mapping, Sequence

import pandas as pd

from experiments.foldstack.backend import keras
from experiments.foldstack.classifier import build_pipeline
from experiments.foldstack.cluster import computing_on
from experiments.foldstack.cross_validation import cross_validate, repeated_splits
from experiments.foldstack.network import build_network
from experiments.harness import store as tables
from experiments.harness.dataset import Dataset
from experiments.harness.files import locked
from experiments.harness.progress import progress_bar
from experiments.harness.runner import fold_columns, record_of


def sweep(
    name: str, settings: Sequence[Mapping[str, object]], options: Namespace, data: Dataset
) -> tuple[pd.DataFrame, dict]:
    """Cross-validate every setting; a setting's rows are written as soon as it is done.

    The rows are in ``<name>-folds.csv``. If they are already there, of the same settings,
    data, seed, versions and commit, they are kept and only what is missing is computed.

    Parameters
    ----------
    name : str
    settings : sequence of mappings
        Keyword parameters of `build_network`.
    options : Namespace
        As of `add_experiment_options`.
    data : Dataset

    Returns
    -------
    folds : DataFrame
        ``setting`` (its number in `settings`), the columns of a table of folds, and
        ``collapsed``.
    record : dict
        What produced them.
    """
    splits = repeated_splits(
        data.X, data.y, folds=options.folds, repeats=options.repeats, seed=options.seed
    )
    record = record_of(name, options, data, splits, settings=[dict(one) for one in settings])
    with locked(options.results):
        parts = _done_before(f"{name}-folds", record, options)
    sizes = [_size(one, data.X.shape[1]) for one in settings]
    todo = range(len(parts), len(settings))
    total = sum(sizes[number] for number in todo) * len(splits)
    with computing_on(options.scheduler), progress_bar(name, total) as progress:
        for number in todo:
            pipeline = build_pipeline(
                settings[number], epochs=options.epochs, random_state=options.seed
            )
            scores = cross_validate(
                pipeline, data.X, data.y, splits, jobs=options.jobs,
                progress=lambda networks, size=sizes[number]: progress(size * networks),
            )  # fmt: skip
            columns = fold_columns(splits, options.folds, scores)
            columns["collapsed"] = scores["collapsed"].astype(int)
            parts.append(pd.DataFrame({"setting": number} | columns))
            tables.write_table(options.results, f"{name}-folds", pd.concat(parts), record)
            keras.utils.clear_session(free_memory=False)
    return pd.concat(parts, ignore_index=True), record


def summarise_settings(folds: pd.DataFrame) -> pd.DataFrame:
    """Summarise a sweep's folds, one row a setting.

    Mean and standard deviation over folds of accuracy and training accuracy, mean log
    losses (none where a network diverged), ``standard_error`` of the mean accuracy (standard
    deviation over √folds: not corrected for what training sets share), and the number of
    collapsed networks.
    """
    by_setting = folds.groupby("setting")
    accuracy = by_setting["accuracy"]
    return pd.DataFrame(
        {
            "networks": by_setting.size(),
            "accuracy": accuracy.mean(),
            "std_accuracy": accuracy.std(ddof=0),
            "standard_error": accuracy.sem(),
            "train_accuracy": by_setting["train_accuracy"].mean(),
            "std_train_accuracy": by_setting["train_accuracy"].std(ddof=0),
            "log_loss": by_setting["log_loss"].mean(skipna=False),
            "train_log_loss": by_setting["train_log_loss"].mean(skipna=False),
            "collapsed": by_setting["collapsed"].sum(),
        }
    )


def _done_before(name, record, options):
    """Read the settings that are complete, if they come from the same as `record` says."""
    folder = options.results
    if not (folder / f"{name}.csv").exists() or not (folder / f"{name}.json").exists():
        return []
    before = tables.read_record(folder, name)
    del before[tables.CHECKSUM]
    if before != tables.json_round_trip(record):  # the commit, too: all rows are of one
        return []
    folds = tables.read_table(folder, name)
    return [rows for _, rows in folds.groupby("setting")]


def _size(settings, features):
    """Weigh a setting for the time left: its weights, and a part that any network takes."""
    weights = build_network({"n_features_in_": features, "X_shape_": (1, features)},
                            {"epochs": 1, "batch_size": 1}, **settings).count_params()  # fmt: skip
    return weights + 10_000

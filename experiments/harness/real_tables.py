"""Take a table from `make tune` to `make predict`, and score scikit-learn's network beside it."""

import subprocess
import sys
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments import foldstack
from experiments.foldstack.comparison import compare
from experiments.harness import measures, store
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import printable
from experiments.harness.files import REPOSITORY
from experiments.harness.parent import as_child
from experiments.harness.settings import READING, to_arguments


def check_table(path: Path, given: Mapping[str, object], options: Namespace) -> dict:
    """Return the row of a table: what tuning said, and how its networks score.

    `given` are the table's source and options of `make tune`.
    """
    started = time.perf_counter()
    row = {"table": printable(path.name), "source": given.get("source", "")}
    given = {name: value for name, value in given.items() if name != "source"} | {"data": path}
    given |= {name: getattr(options, name) for name in ("seed", "jobs", "minutes")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tuning = run_script("tune", given | {"results": folder})
        if tuning.returncode:
            return row | {"outcome": "refused", "answer": _last_line(tuning, path)}
        rows = {"data": path, "model": folder / "tuned.keras", "results": folder}
        prediction = run_script("predict", rows)
        if prediction.returncode:
            return row | {"outcome": "not predicted", "answer": _last_line(prediction, path)}
        predicted = len(store.read_table(folder, "predictions"))
        tuned, metadata = store.read_table(folder, "tuned"), store.read_metadata(folder, "tuned")
    seconds = time.perf_counter() - started
    printed = tuning.stdout.splitlines()
    plan = next(number for number, line in enumerate(printed) if line.startswith("plan: "))
    reading = {name: given[name] for name in READING if name in given}
    data = read_dataset(path, folds=metadata["folds"], **reading)
    measure = measures.chosen_by(metadata)
    peer = score_peer(data, measure, metadata)
    compared = compare(
        measure.sign * tuned[measure.name],
        measure.sign * peer,
        repeats=tuned["repeat"],
        test_train_ratio=np.mean(tuned["n_test"] / tuned["n_train"]),
    )
    return row | {
        "outcome": "predicted",
        "answer": printed[plan + 1],
        "rows": len(data.y),
        "features": len(data.features),
        "predictions": predicted,
        "score": measure.name,
        "guessing": metadata["guessing"][measure.name],
        "tuned": tuned[measure.name].mean(),
        "baseline": tuned[f"baseline_{measure.name}"].mean(),
        "scikit_learn": peer.mean(),
        "difference": compared.difference,
        "low": compared.new_data_low,
        "high": compared.new_data_high,
        "seconds": seconds,
    }


def _last_line(process, path):
    """Return what a process said last, with the name of the table in place of its path."""
    return process.stderr.splitlines()[-1].replace(str(path), path.name)


def score_peer(data, measure, metadata) -> np.ndarray:
    """Return the scores of scikit-learn's network, with its defaults, on the outer folds."""
    seed, folds = metadata["seed"], metadata["folds"]
    if data.classes:
        network = MLPClassifier(random_state=seed)
    else:
        network = MLPRegressor(random_state=seed)
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    preparation = [foldstack.build_preparation()] if data.needs_preparation else []
    pipeline = make_pipeline(*preparation, StandardScaler(), network)
    splits = {"n_splits": folds, "n_repeats": 1, "seed": seed, "task": data.task}
    cv = foldstack.repeated_splits(data.X, data.y, **splits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it stops after 200 passes
        scoring = measure.scorer_for(data)
        scores = cross_validate(pipeline, data.X, data.y, cv=cv, scoring=scoring)
    return measure.sign * scores["test_score"]


def run_script(command: str, given: Mapping[str, object]) -> subprocess.CompletedProcess:
    """Run a command as a process, with these options; None leaves one out."""
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{command}", *to_arguments(given)],
        cwd=REPOSITORY,
        env=as_child(),
        capture_output=True,
        text=True,
    )


def describe(row: Mapping[str, object]) -> str:
    """Return a row of the table in one line, for the terminal."""
    if row["outcome"] != "predicted":
        return f"{row['table']}: {row['outcome']}: {row['answer']}"
    score, peer, guess = (f"{row[name]:.3f}" for name in ("tuned", "scikit_learn", "guessing"))
    interval = f"{row['difference']:+.3f}, {row['low']:+.3f} to {row['high']:+.3f} on new data"
    return (
        f"{row['table']}: {row['score']} {score}, scikit-learn's {peer} ({interval}), guessing "
        f"{guess}, {row['seconds']:.0f} seconds. {row['answer']}"
    )

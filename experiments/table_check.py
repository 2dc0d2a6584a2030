"""Table check: do tables as people have them go from tuning to predictions, and how well?

Every table of a folder is tuned and predicted as `make tune` and `make predict` do it by
default. On the same outer folds scikit-learn's MLPClassifier or MLPRegressor is scored, after
the same preparation. `data/tables.toml` has the options and sources of public tables; others
are read as they are.

    $ make validate PART=tables DATA=tables
    iris.csv: tuned 0.960, MLPClassifier 0.953 (+0.007, -0.025 to +0.039 on new data); keep
    ...

A network should be no worse than scikit-learn's, within the noise of the folds on new data.
"""

import contextlib
import io
import sys
import tempfile
import time
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from experiments import predict, tune
from experiments.foldstack.comparison import compare
from experiments.harness import cli, measures, store
from experiments.harness.errors import InputError
from experiments.harness.files import REPOSITORY, check_folder
from experiments.harness.provenance import provenance
from experiments.harness.runner import Run
from experiments.reporting import findings

NO_TABLES = (".md", ".toml", ".json")


def check_tables(options):
    """Check every table of the folder, write and print a row for each."""
    known = tomllib.loads((REPOSITORY / "data" / "tables.toml").read_text(encoding="utf-8"))
    if not options.data.is_dir():
        raise InputError(f"{options.data} is not a folder of tables")
    paths = sorted(path for path in options.data.iterdir() if path.suffix not in NO_TABLES)
    check_folder(options.results)
    rows = []
    for path in paths:
        rows.append(check_table(path, dict(known.get(path.name, {})), options))
        print(describe(rows[-1]), flush=True)
    frame = pd.DataFrame(rows)
    check_folder(options.results)  # a refusal removes folders that are empty
    metadata = {"seed": options.seed, "minutes": options.minutes} | provenance()
    path = store.write_tables(options.results, {"validation-tables": frame}, metadata)
    print(f"  written:   {path}")
    if (frame["high"] < 0).any():
        sys.exit("validate: a table is predicted worse than by scikit-learn's network")


def check_table(path, given, options):
    """Tune and predict a table; return its row."""
    started = time.perf_counter()
    row = {"table": path.name, "source": given.pop("source", "")}
    given |= {"data": path, "seed": options.seed, "jobs": options.jobs, "minutes": options.minutes}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        refusal = run_quietly(tune.main, given | {"results": folder})
        if refusal:
            return row | {"outcome": "refused", "answer": refusal}
        rows = {"data": path, "model": folder / "tuned.keras", "results": folder}
        if refusal := run_quietly(predict.main, rows):
            return row | {"outcome": "not predicted", "answer": refusal}
        predicted = len(store.read_table(folder, "predictions"))
        tuned, metadata = store.read_table(folder, "tuned"), store.read_metadata(folder, "tuned")
        answer = findings.tuning(folder)["answer"]
    seconds = time.perf_counter() - started
    this = Run("tune", cli.parse("tune", "", arguments(given | {"results": options.results})))
    tune.check_options(this)
    measure, ratio = measures.chosen_by(metadata), np.mean(tuned["n_test"] / tuned["n_train"])
    peer = score_peer(this, measure)
    compared = compare(
        measure.sign * tuned[measure.name],
        measure.sign * peer,
        repeats=tuned["repeat"],
        test_train_ratio=ratio,
    )
    return row | {
        "outcome": "predicted",
        "answer": answer,
        "rows": len(this.data.y),
        "features": len(this.data.features),
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


def score_peer(this, measure):
    """Return the scores of scikit-learn's network, with its defaults, on the outer folds."""
    if this.data.classes:
        network = MLPClassifier(random_state=this.options.seed)
    else:
        network = MLPRegressor(random_state=this.options.seed)
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    pipeline, scoring = this.pipeline(), measure.scorer_for(this.data)
    pipeline.steps[-1] = ("mlp", network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it stops after 200 passes
        scores = cross_validate(pipeline, this.data.X, this.data.y, cv=this.splits, scoring=scoring)
    return measure.sign * scores["test_score"]


def run_quietly(main, given):
    """Run a command; return its one line of refusal, or an empty text."""
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            main(arguments(given))
        except SystemExit as exit:
            if exit.code:
                return errors.getvalue().strip().splitlines()[-1]
    return ""


def arguments(given):
    """Return a command's arguments; None leaves an option out."""
    values = {
        name: ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


def describe(row):
    """Return a row of the table in one line, for the terminal."""
    if row["outcome"] != "predicted":
        return f"{row['table']}: {row['outcome']}: {row['answer']}"
    score, peer, guess = (f"{row[name]:.3f}" for name in ("tuned", "scikit_learn", "guessing"))
    interval = f"{row['difference']:+.3f}, {row['low']:+.3f} to {row['high']:+.3f} on new data"
    return (
        f"{row['table']}: {row['score']} {score}, scikit-learn's {peer} ({interval}), guessing "
        f"{guess}; {row['answer']}; {row['seconds']:.0f} seconds"
    )

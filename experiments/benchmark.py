"""Benchmark: how long whole processes take, the tutorial's way against all folds together.

Each row is a process of its own, started one after another on an idle machine:

- *tutorial*: the tutorial's own code, scikeras' classifier in a pipeline under
  `cross_val_score`, in one process with TensorFlow's own threads;
- *tutorial, all cores*: the same, folds spread over processes;
- *scikit-learn engine*: ours, which feeds the rows to Keras in a faster way;
- *MLPClassifier*: scikit-learn's network of the same shape, folds over all cores;
- *stacked*: all folds together, also 1,000 networks, and a table of 100,000 rows.

Extrapolated rows are the row of 10 networks with ten times its training time, the start counted
once: that way trains one network after another. Short runs are repeated three times, and the
median counts. The peak memory is measured on Linux and macOS only.

    $ make benchmark
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.harness import cli, store
from experiments.harness.dataset import read_dataset
from experiments.harness.files import check_folder
from experiments.harness.provenance import machine, provenance
from experiments.harness.timing import time_process

CORES = os.cpu_count()
TUTORIAL, MLP = "experiments.harness.tutorial_peer", "experiments.harness.peers"
ENGINE = "experiments.baseline --engine=scikit-learn"
RUNS = (  # the way's name, command, jobs, repeats, how often it is timed
    ("tutorial", TUTORIAL, 1, 1, 1),
    ("tutorial, all cores", TUTORIAL, CORES, 1, 1),
    ("scikit-learn engine", ENGINE, 1, 1, 1),
    ("scikit-learn engine, all cores", ENGINE, CORES, 1, 1),
    ("MLPClassifier, all cores", MLP, CORES, 1, 3),
    ("MLPClassifier, all cores", MLP, CORES, 10, 1),
    ("stacked", "experiments.baseline", CORES, 1, 3),
    ("stacked", "experiments.baseline", CORES, 10, 3),
    ("stacked", "experiments.baseline", CORES, 100, 1),
    ("stacked, visible", "experiments.visible", CORES, 10, 3),
    ("stacked, hidden", "experiments.hidden", CORES, 10, 3),
)


def benchmark(options):
    """Time every way of training, and write the table."""
    read_dataset(options.data, folds=10)
    check_folder(options.results)
    common = [f"--data={options.data.absolute()}", f"--seed={options.seed}"]
    common.append(f"--epochs={options.epochs}")
    rows = []
    for way, command, jobs, repeats, times in RUNS:
        command = [*command.split(), *common, f"--repeats={repeats}"]
        rows.append(time_process(way, 10 * repeats, jobs, command, times))
    rows[2:2] = [ten_times(row) for row in rows[:2]]  # after the tutorial's own
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.csv"
        write_large_table(large)
        command = ["experiments.baseline", f"--data={large}", "--repeats=1", "--epochs=2"]
        rows.append(time_process("stacked, 100,000 rows, 2 epochs", 10, CORES, command))
    metadata = {"epochs": options.epochs, "machine": machine()} | provenance()
    path = store.write_tables(options.results, {"benchmark": pd.DataFrame(rows)}, metadata)
    print(f"  written:   {path}")


def ten_times(row):
    """Extrapolate a row of 10 networks to 100."""
    return row | {
        "networks": 10 * row["networks"],
        "process_seconds": round(row["process_seconds"] + 9 * row["training_seconds"], 2),
        "training_seconds": round(10 * row["training_seconds"], 2),
        "extrapolated": 1,
    }


def write_large_table(path, n_rows=100_000, n_features=60):
    """Write a CSV of random numbers with a class that depends on three of them."""
    X = np.random.default_rng(0).normal(size=(n_rows, n_features)).round(4)
    labels = np.where(X[:, :3].sum(axis=1) > 0, "R", "M")
    pd.DataFrame(X).assign(label=labels).to_csv(path, header=False, index=False)


main = cli.script("benchmark", __doc__, benchmark)

if __name__ == "__main__":
    main()

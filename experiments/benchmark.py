"""Benchmark: how long whole processes take, the tutorial's way against all folds together.

Each row is a process of its own, started one after another on an idle machine:

- *tutorial*: the tutorial's own code, scikeras' classifier in a pipeline under
  `cross_val_score`, in one process with TensorFlow's own threads;
- *tutorial, all cores*: the same, folds spread over processes;
- *scikit-learn engine*: ours, which feeds the rows to Keras in a faster way;
- *MLPClassifier*: scikit-learn's network of the same shape, folds over all cores;
- *stacked*: all folds together, also 1,000 networks, and a table of 100,000 rows. Rows of 500
  networks run in turn: on all cores, on one core only, and, if BEFORE names another checkout of
  the project, with its code.

GFLOP/s count the products of the network's layers only; NumPy's product of two float32 matrices
of 512 × 512 is the standard that they are compared with.

Extrapolated rows are the row of 10 networks with ten times its training time, the start counted
once: that way trains one network after another. Short runs are repeated three times, and the
median counts. The peak memory is measured on Linux and macOS only.

PART=search times a grid search of 36 candidates by 5 folds, 30 epochs each: scikit-learn's
over scikeras' classifier, twice, and ours. The rank correlation of the candidates' mean scores
is that with the first row: two runs of the same search differ, too.

    $ make benchmark
"""

import json
import os
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from experiments.harness import cli, store
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError
from experiments.harness.files import check_folder
from experiments.harness.provenance import machine, provenance
from experiments.harness.timing import Way, sgemm_gflops, time_ways

CORES = os.cpu_count()
TUTORIAL, MLP = "experiments.harness.tutorial_peer", "experiments.harness.peers"
ENGINE = "experiments.baseline --engine=scikit-learn"
STACKED = {
    "stacked": "experiments.baseline",
    "stacked, visible": "experiments.visible",
    "stacked, hidden": "experiments.hidden",
}
RUNS = (  # a way, and how often it is timed
    (Way("tutorial", TUTORIAL, 1, 10), 1),
    (Way("tutorial, all cores", TUTORIAL, CORES, 10), 1),
    (Way("scikit-learn engine", ENGINE, 1, 10), 1),
    (Way("scikit-learn engine, all cores", ENGINE, CORES, 10), 1),
    (Way("MLPClassifier, all cores", MLP, CORES, 10), 3),
    (Way("MLPClassifier, all cores", MLP, CORES, 100), 1),
    (Way("stacked", STACKED["stacked"], CORES, 10), 3),
    *((Way(name, command, CORES, 100), 3) for name, command in STACKED.items()),
    (Way("stacked", STACKED["stacked"], CORES, 1000), 1),
    (Way("stacked, hidden", STACKED["stacked, hidden"], CORES, 1000), 1),
)
IN_TURN, TIMES = 500, 3
SEARCHES = {
    "GridSearchCV over scikeras, all cores": "experiments.harness.grid_peer",
    "the same again": "experiments.harness.grid_peer",
    "StackedSearchCV": "experiments.harness.stacked_peer",
}
SEARCHED, SEARCH_EPOCHS = 36 * 5, 30
WIDTHS = (60, 60, 30, 1)


def benchmark(options):
    """Time every way of training and of searching, and write the tables."""
    data = read_dataset(options.data, folds=10)
    check_folder(options.results)
    if options.before and not (options.before / "experiments").is_dir():
        raise InputError(f"{options.before} is no checkout of this project")
    if options.part in ("search", "all"):
        benchmark_search(options)
    if options.part in ("engines", "all"):
        benchmark_engines(options, data)


def benchmark_search(options):
    """Time the search of the grid, and compare the scores."""
    rows, scores = [], []
    for name, command in SEARCHES.items():
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / "scores.json"
            arguments = [f"--data={options.data.absolute()}", f"--seed={options.seed}"]
            arguments += [f"--epochs={SEARCH_EPOCHS}", f"--scores={found}"]
            rows += time_ways([Way(name, command, CORES, SEARCHED, arguments)])
            scores.append(json.loads(found.read_text()))
        del rows[-1]["extrapolated"]
        rows[-1]["rank_correlation"] = round(float(spearmanr(scores[0], scores[-1])[0]), 3)
    metadata = {"epochs": SEARCH_EPOCHS, "machine": machine()}
    table = {"benchmark-search": pd.DataFrame(rows)}
    print(f"  written:   {store.write_tables(options.results, table, metadata | provenance())}")


def benchmark_engines(options, data):
    """Time every way of training an arm."""
    common = [f"--data={options.data.absolute()}", f"--seed={options.seed}"]
    common.append(f"--epochs={options.epochs}")

    def timed(ways, times):
        for i, way in enumerate(ways):
            repeats = f"--repeats={way.networks // 10}"
            ways[i] = way._replace(options=[*common, repeats])
        return time_ways(ways, times)

    sgemm = {threads: sgemm_gflops(threads) for threads in (1, CORES)}
    rows = []
    for way, times in RUNS:
        rows += timed([way], times)
    rows[2:2] = [ten_times(row) for row in rows[:2]]  # after the tutorial's own
    for name, command in STACKED.items():
        way = Way(name, command, CORES, IN_TURN)
        ways = [way]
        if shutil.which("taskset"):
            ways.append(way._replace(name=f"{name}, one core", jobs=1, pinned=True))
        if options.before:
            ways.append(way._replace(name=f"{name}, before", checkout=options.before.absolute()))
        rows += timed(ways, TIMES)
    flop = network_flop(options.epochs * 0.9 * len(data.y))
    for row in rows:
        if row["way"].startswith("stacked"):
            row["gflops"] = round(row["networks"] * flop / row["training_seconds"] * 1e-9, 1)
            row["share_of_sgemm"] = round(row["gflops"] / sgemm[row["jobs"]], 3)
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.csv"
        write_large_table(large)
        arguments = [f"--data={large}", "--repeats=1", "--epochs=2"]
        way = Way("stacked, 100,000 rows, 2 epochs", STACKED["stacked"], CORES, 10, arguments)
        rows += time_ways([way])
    metadata = {"epochs": options.epochs, "machine": machine(), "sgemm_gflops": sgemm}
    table = {"benchmark": pd.DataFrame(rows)}
    path = store.write_tables(options.results, table, metadata | provenance())
    print(f"  written:   {path}")


def network_flop(n_rows):
    """Count the operations of the products that train an arm's network on so many rows.

    Each layer has one product forwards and two backwards, but for the first: nothing asks for
    the gradient of the inputs.
    """
    sizes = [inputs * units for inputs, units in pairwise(WIDTHS)]
    return n_rows * 2 * (3 * sum(sizes) - sizes[0])


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

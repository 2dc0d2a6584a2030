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
run of median training time counts. The peak memory is measured on Linux and macOS only.

PART=search times a grid search of 36 candidates by 5 folds, 30 epochs each, in a script that
imports the installed library: scikit-learn's over scikeras' classifier, and ours. Networks have
no fixed seeds: the rank correlation of the candidates' mean scores between the two searches is
compared with that between runs of scikit-learn's, each as a mean over pairs of runs.

    $ make benchmark
"""

import os
import shutil
import subprocess
import sys
import tempfile
from itertools import combinations, pairwise, product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from experiments.harness import cli, store
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError
from experiments.harness.files import REPOSITORY
from experiments.harness.provenance import machine, provenance
from experiments.harness.replacing import check_results
from experiments.harness.timing import Way, median_row, sgemm_gflops, time_once, time_ways

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
SEARCHES = (  # a way, and how often it searches
    ("GridSearchCV over scikeras, all cores", "grid", 3),
    ("StackedSearchCV", "stacked", 5),
)
SEARCHED, SEARCH_EPOCHS = 36 * 5, 30
WIDTHS = (60, 60, 30, 1)


def benchmark(options):
    """Time every way of training and of searching, and write the tables."""
    data = read_dataset(options.data, folds=10)
    check_results("benchmark", options)
    if options.before and not (options.before / "experiments").is_dir():
        raise InputError(f"{options.before} is no checkout of this project")
    if options.part in ("tables", "kills"):
        raise InputError("`part` of the benchmark must be engines, search or all")
    if options.part in ("search", "all"):
        benchmark_search(options)
    if options.part in ("engines", "all"):
        benchmark_engines(options, data)


def benchmark_search(options):
    """Time the searches, in scripts that import the installed library; compare their scores."""
    script = REPOSITORY / "experiments" / "harness" / "search_peer.py"
    arguments = [f"--data={options.data.absolute()}", f"--seed={options.seed}"]
    arguments.append(f"--epochs={SEARCH_EPOCHS}")
    rows, scores = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        install_library(folder)
        for name, way, times in SEARCHES:
            way = Way(name, f"{script} {way}", CORES, SEARCHED, arguments)
            way = way._replace(checkout=folder, installed=folder)
            runs = [time_once(way) for _ in range(times)]
            rows.append(median_row(way, runs))
            scores.append([run.left["scores"] for run in runs])
    theirs, ours = scores
    for row, pairs in zip(rows, (combinations(theirs, 2), product(theirs, ours)), strict=True):
        del row["extrapolated"]
        correlations = [spearmanr(*pair)[0] for pair in pairs]
        row["pairs"] = len(correlations)
        row["rank_correlation"] = round(float(np.mean(correlations)), 3)
    metadata = {"epochs": SEARCH_EPOCHS, "machine": machine()}
    table = {"benchmark-search": pd.DataFrame(rows)}
    print(f"  written:   {store.write_tables(options.results, table, metadata | provenance())}")


def install_library(folder):
    """Install the library from this checkout into a folder; its dependencies are at hand."""
    pip = [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--no-deps"]
    pip += ["--no-build-isolation", "--disable-pip-version-check", "--target", folder]
    with tempfile.TemporaryDirectory() as copy:  # a build leaves files behind
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(REPOSITORY / name, copy)
        shutil.copytree(REPOSITORY / "experiments", Path(copy) / "experiments")
        subprocess.run([*pip, copy], check=True)


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

"""Benchmark: how long whole processes take, the tutorial's way against all folds together.

Each row is a process of its own, started here one after another on an idle machine:

- *tutorial*: the tutorial's own code, scikeras' classifier in a pipeline under
  `cross_val_score`, in one process with TensorFlow's own threads;
- *tutorial, all cores*: the same, folds spread over processes;
- *scikit-learn engine*: ours, which feeds the rows to Keras in a faster way;
- *MLPClassifier*: scikit-learn's network of the same shape, folds over all cores;
- *stacked*: all folds together, also 1,000 networks, and a table of 100,000 rows.

Rows marked as extrapolated are the row of 10 networks with its training ten times as long,
the start counted once: that way trains one network after another. The short ones are run
three times, the median counts.

    $ make benchmark
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import SUPPRESS
from pathlib import Path

from experiments.harness.cli import add_experiment_options, answer_mistakes, script_parser

REPOSITORY = Path(__file__).parents[1]
CORES = os.cpu_count()


def main(argv=None):
    """Run and time the processes."""
    parser = script_parser("benchmark", __doc__)
    add_experiment_options(
        parser, ("repeats", "folds", "jobs", "scheduler", "target", "engine", "curves", "verbose")
    )
    for used_by_itself in ("--only", "--networks", "--jobs"):
        parser.add_argument(used_by_itself, help=SUPPRESS)
    options = parser.parse_args(argv)
    action = _time_scikit_learn if options.only else _benchmark
    answer_mistakes("benchmark", lambda: action(options))


def _benchmark(options):
    from experiments.harness.dataset import read_dataset

    read_dataset(options.data, folds=10)

    from experiments.harness import files
    from experiments.harness import store as tables

    files.check_folder(options.results)

    import pandas as pd

    from experiments.harness.provenance import machine, provenance

    common = [f"--seed={options.seed}", f"--epochs={options.epochs}"]
    arm = ["experiments.baseline", f"--data={options.data.absolute()}", *common]
    threads = {"TF_NUM_INTRAOP_THREADS": str(CORES)}

    def other(way, jobs, networks=10):
        only = [f"--only={way}", f"--jobs={jobs}", f"--networks={networks}"]
        return ["experiments.benchmark", f"--data={options.data.absolute()}", *common, *only]

    rows = [
        _process("tutorial", 10, 1, other("tutorial", 1), environment=threads),
        _process("tutorial, all cores", 10, CORES, other("tutorial", CORES)),
    ]
    rows += [_ten_times(row) for row in rows]
    command = [*arm, "--engine=scikit-learn", "--repeats=1"]
    rows += [
        _process("scikit-learn engine", 10, 1, [*command, "--jobs=1"]),
        _process("scikit-learn engine, all cores", 10, CORES, [*command, f"--jobs={CORES}"]),
    ]
    for networks, times in ((10, 3), (100, 1)):
        command = other("mlp", CORES, networks)
        rows.append(_process("MLPClassifier, all cores", networks, CORES, command, times=times))
    for repeats, times in ((1, 3), (10, 3), (100, 1)):
        rows.append(
            _process("stacked", 10 * repeats, CORES, [*arm, f"--repeats={repeats}"], times=times)
        )
    for script in ("visible", "hidden"):
        command = [f"experiments.{script}", *arm[1:], "--repeats=10"]
        rows.append(_process(f"stacked, {script}", 100, CORES, command, times=3))
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.csv"
        _write_large_table(large)
        command = ["experiments.baseline", f"--data={large}", "--repeats=1", "--epochs=2"]
        rows.append(_process("stacked, 100,000 rows, 2 epochs", 10, CORES, command))

    record = {
        "epochs": options.epochs,
        "machine": machine(),
        "matrix_product_gflops_per_core": round(_matrix_product_rate(), 1),
    } | provenance()
    path = tables.write_table(options.results, "benchmark", pd.DataFrame(rows), record)
    print(f"  written:   {path}")


def _process(way, networks, jobs, command, *, times=1, environment=()):
    """Run a script as a process of its own; gives a row of the table."""
    runs = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", *command, f"--results={folder}"],
                cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=errors,
                env=os.environ | dict(environment),
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)  # it need not wait again
            seconds = time.perf_counter() - started
            if status:
                errors.seek(0)
                sys.exit(f"benchmark: {' '.join(command)} failed:\n{errors.read().decode()}")
            records = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
        (parts,) = (record["seconds"] for record in records if "seconds" in record)
        training = parts["training"] + parts.get("building", 0)
        runs.append((seconds, training, usage.ru_maxrss / 1024))
    seconds, training, memory = sorted(runs)[len(runs) // 2]
    print(f"{way}, {networks} networks: {seconds:.1f} s, training {training:.2f} s", flush=True)
    return {
        "way": way,
        "networks": networks,
        "jobs": jobs,
        "process_seconds": round(seconds, 2),
        "training_seconds": round(training, 2),
        "peak_memory_mib": round(memory),
        "extrapolated": 0,
    }


def _ten_times(row):
    return row | {
        "networks": 10 * row["networks"],
        "process_seconds": round(row["process_seconds"] + 9 * row["training_seconds"], 2),
        "training_seconds": round(10 * row["training_seconds"], 2),
        "extrapolated": 1,
    }


def _time_scikit_learn(options):
    """Cross-validate the tutorial's classifier, or scikit-learn's own, as a user would."""
    import warnings

    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from experiments.baseline import SETTINGS
    from experiments.harness.dataset import read_dataset

    data = read_dataset(options.data, folds=10)
    if options.only == "tutorial":
        from experiments.foldstack.network import build_network  # first: it quietens TensorFlow

        # isort: split
        from scikeras.wrappers import KerasClassifier

        classifier = KerasClassifier(
            build_network, epochs=options.epochs, batch_size=16, verbose=0,
            **{f"model__{name}": value for name, value in SETTINGS.items()},
        )  # fmt: skip
    else:
        classifier = MLPClassifier(
            SETTINGS["hidden_units"], solver="sgd", learning_rate_init=SETTINGS["learning_rate"],
            momentum=SETTINGS["momentum"], nesterovs_momentum=False, alpha=0, batch_size=16,
            max_iter=options.epochs, n_iter_no_change=options.epochs + 1,
            random_state=options.seed,
        )  # fmt: skip
    warnings.simplefilter("ignore")  # that it has not converged
    os.environ["PYTHONWARNINGS"] = "ignore"
    folds = RepeatedStratifiedKFold(
        n_splits=10, n_repeats=int(options.networks) // 10, random_state=options.seed
    )
    started = time.perf_counter()
    cross_val_score(
        make_pipeline(StandardScaler(), classifier), data.X, data.y == "R", cv=folds,
        n_jobs=int(options.jobs),
    )  # fmt: skip
    seconds = {"training": time.perf_counter() - started}
    (options.results / "seconds.json").write_text(json.dumps({"seconds": seconds}))


def _write_large_table(path, rows=100_000, columns=60):
    import numpy as np

    generator = np.random.default_rng(0)
    X = generator.normal(size=(rows, columns)).round(4)
    labels = np.where(X[:, :3].sum(axis=1) > 0, "R", "M")
    with open(path, "w") as file:
        for row, label in zip(X.tolist(), labels, strict=True):
            file.write(",".join(map(str, row)) + f",{label}\n")


def _matrix_product_rate():
    """Measure one core's float32 GFLOP/s at the largest product of a step of 50 copies."""
    from experiments.foldstack.backend import tf

    rows, kernels = tf.random.normal((50, 16, 60)), tf.random.normal((50, 60, 60)) / 8
    chain = tf.function(
        lambda: tf.while_loop(
            lambda i, _: i < 2000,
            lambda i, product: (i + 1, tf.matmul(product, kernels)),
            (0, rows),
        )
    )
    chain()
    started = time.perf_counter()
    chain()
    return 2000 * 2 * 50 * 16 * 60 * 60 / (time.perf_counter() - started) / 1e9


if __name__ == "__main__":
    main()

"""Engine check: does the stacked engine score as the tutorial's way does?

Both engines cross-validate the same arms on the same splits. Their networks draw their weights
and masks from different random numbers, so single folds differ, and the means may differ by
chance. The stacked engine, which is cheap, trains every fold ten times, each from another seed,
so that nearly all of the remaining chance is the reference's. The difference should lie within
two standard errors; over four arms it will not, by chance, about once in six runs.

    $ make validate
    baseline: stacked 85.21%, scikit learn 84.73%, difference +0.48 (standard error 0.82)
    ...

Then StackedSearchCV and scikit-learn's GridSearchCV search a small grid on the same folds: they
should rank its settings alike, within the noise of seeds.

Takes 10 to 30 minutes on 2 cores, nearly all of it the tutorial's way.

PART=tables DATA=FOLDER checks instead that tables as people have them go from tuning to
predictions: every table of the folder, by the defaults of `make tune` and `make predict`, beside
scikit-learn's MLPClassifier or MLPRegressor on the same folds after the same preparation. No
network should be worse, within the noise of the folds on new data. `data/tables.toml` has the
options and sources of public tables; others are read as they are.

PART=kills kills every command that writes, five times each (REPEATS), by SIGKILL, SIGTERM and
Ctrl-C in turn: every table must be the earlier one or the new one, whole, and no process may be
left. It takes 15 to 25 minutes and writes nothing.

PART=null compares the baseline with itself: four arms that differ in their seeds only go through
all verdicts. None should be better, worse, or more than a point apart; by chance, one such check
in twenty fails. It takes about 10 minutes.

PART=answers simulates 10,000 families of comparisons whose true differences are known, with the
spread of the arms' tables in the results, and 2,000 small datasets with classifiers that are
equally good. It tells how often a verdict is wrong: in at most 5% of families, is claimed; up to
6% pass. It also computes how wide the intervals would be with other numbers of runs. It needs
arms with 10 repeats and 2 seeds, and takes about a minute.
"""

import sys
import tomllib

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV

from experiments import foldstack
from experiments.arms import ARMS, BASELINE, PAIRS
from experiments.foldstack.comparison import MIN_REPEATS, holm, t_interval
from experiments.harness import cli, store
from experiments.harness.dataset import read_dataset
from experiments.harness.errors import InputError, printable
from experiments.harness.files import REPOSITORY, locked
from experiments.harness.kills import check_kills
from experiments.harness.paired import check_comparable, check_repeats, compare_pairs
from experiments.harness.provenance import provenance
from experiments.harness.real_tables import check_table, describe
from experiments.harness.replacing import check_results
from experiments.harness.runner import experiment_action
from experiments.harness.runs import MARGIN
from experiments.harness.settings import COMMANDS
from experiments.harness.simulation import (
    expected_widths,
    paired_values,
    simulate_families,
    simulate_new_data,
)
from experiments.harness.tensorflow import start_tensorflow, worker_processes
from experiments.reporting.pages import comparison_summary
from experiments.tip_settings import CLAIMS

NO_TABLES = (".md", ".toml", ".json")
STACKED_SEEDS = 10
N_FAMILIES, N_DATASETS, MOST_WRONG = 10_000, 2_000, 0.06
SIZES = [(10, 1), (30, 1), (130, 1), (20, 10), (40, 10), (60, 1), (60, 4), (60, 7), (60, 20)]
GRID = {
    "mlp__model__hidden_dropout": [0.0, 0.2, 0.5, 0.8],
    "mlp__model__learning_rate": [0.01],
    "mlp__model__momentum": [0.9],
}


def check_folds(this):
    """Check that there are two folds to take a standard error from."""
    if this.options.repeats * this.options.folds < 2:
        raise InputError("a standard error needs two folds")


def validate(this):
    """Run the parts that the options ask for."""
    if this.options.part != "engines":
        validate_search(this)
    if this.options.part != "search":
        validate_engines(this)


def validate_engines(this):
    """Cross-validate every arm with both engines."""
    rows = []
    for name, settings in ARMS.items():
        accuracy = {}
        for engine, times in (("stacked", STACKED_SEEDS), ("scikit-learn", 1)):
            splits = times * this.splits  # each with a seed of its own
            with this.training(len(splits), f"{name}, {engine}") as progress:
                scores = this.cross_validate(
                    this.pipeline(settings), splits, engine=engine, progress=progress
                )
            by_split = scores["test_score"].reshape(times, len(this.splits))
            accuracy[engine.replace("-", "_")] = by_split.mean(axis=0)
        row = {"experiment": name, "repeats": this.options.repeats, "folds": this.options.folds}
        row |= {"stacked_seeds": STACKED_SEEDS} | compare_means(name, accuracy)
        row["within_two"] = int(abs(row["difference"]) <= 2 * row["standard_error"])
        rows.append(row)
    path = this.write({"validation": pd.DataFrame(rows)}, stacked_seeds=STACKED_SEEDS)
    print(f"  written:   {path}")
    if not all(row["within_two"] for row in rows):
        sys.exit("validate: a difference lies beyond two standard errors")


def validate_search(this):
    """Search a small grid with `StackedSearchCV` and `GridSearchCV` on the same folds."""
    splits = this.splits[: this.options.folds]
    X, y, n_jobs = this.data.X, this.data.y, this.options.jobs
    stacked = foldstack.StackedSearchCV(
        this.pipeline(), GRID, cv=splits, random_state=this.options.seed, n_jobs=n_jobs
    ).fit(X, y)
    with worker_processes(n_jobs):
        grid = GridSearchCV(this.pipeline(), GRID, cv=splits, n_jobs=n_jobs, refit=False)
        grid.fit(X, y)
    keys = [f"split{fold}_test_score" for fold in range(len(splits))]
    rows, p_values = [], []
    for candidate in grid.cv_results_["params"]:
        accuracy = {}
        for name, search in (("stacked_search", stacked), ("grid_search", grid)):
            number = search.cv_results_["params"].index(candidate)
            accuracy[name] = np.array([search.cv_results_[key][number] for key in keys])
        dropout = candidate["mlp__model__hidden_dropout"]
        row = compare_means(f"search, {dropout:.0%} dropout", accuracy)
        rows.append({"hidden_dropout": dropout, "folds": len(splits)} | row)
        p_values.append(t_interval(np.subtract(*accuracy.values())).p)
    table = pd.DataFrame(rows).assign(p_holm=holm(p_values))
    path = this.write({"validation-search": table}, grid=GRID)
    print(f"  written:   {path}")
    if table["p_holm"].min() < 0.05:
        sys.exit("validate: the searches differ by more than the noise of seeds")


def compare_means(label, accuracy):
    """Print and return the means of two paired arrays, their difference and standard error."""
    differences = np.subtract(*accuracy.values())
    difference = differences.mean()
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    row = {name: values.mean() for name, values in accuracy.items()}
    means = ", ".join(f"{name.replace('_', ' ')} {mean:.2%}" for name, mean in row.items())
    result = f"difference {100 * difference:+.2f} (standard error {100 * error:.2f})"
    print(f"{label}: {means}, {result}", flush=True)
    return row | {"difference": difference, "standard_error": error}


def validate_tables(options):
    """Check every table of a folder, write and print a row for each."""
    known = tomllib.loads((REPOSITORY / "data" / "tables.toml").read_text(encoding="utf-8"))
    if not options.data.is_dir():
        raise InputError(f"{options.data} is not a folder of tables")
    paths = sorted(p for p in options.data.iterdir() if p.suffix not in NO_TABLES)
    if not paths:
        raise InputError(f"{options.data} has no tables")
    check_results("validate", options)
    start_tensorflow()  # quietly: reading uses the library
    rows = []
    for path in paths:
        rows.append(check_table(path, known.get(path.name, {}), options))
        print(printable(describe(rows[-1])), flush=True)
    frame = pd.DataFrame(rows)
    metadata = {"seed": options.seed, "minutes": options.minutes} | provenance()
    path = store.write_tables(options.results, {"validation-tables": frame}, metadata)
    print(f"  written:   {path}")
    if "high" in frame and (frame["high"] < 0).any():
        sys.exit("validate: a table is predicted worse than by scikit-learn's network")


def validate_kills(options):
    """Kill every command, print a line for each and one for all."""
    read_dataset(options.data, folds=5)
    problems = []
    for line, wrong in check_kills(options.data.absolute(), options.repeats):
        print(line, *wrong, sep="\n  wrong: ", flush=True)
        problems += wrong
    if problems:
        sys.exit(f"validate: {len(problems)} things are wrong after a run was killed")
    print("Every table is whole, and no process is left.")


def validate_null(this):
    """Compare arms that are all the baseline, with other seeds."""
    n_seeds = this.options.seeds
    this.options.seeds = len(ARMS) * n_seeds
    networks, folds = this.networks, this.options.folds
    numbers = this.split_numbers(networks)
    with this.training(len(numbers)) as progress:
        seeds = [seed for _, seed in networks for _ in range(folds)]
        scores = this.cross_validate(
            this.pipeline(BASELINE),
            [this.splits[i] for i in numbers],
            seeds=[this.seeds[seed - 1][i] for seed, i in zip(seeds, numbers, strict=True)],
            progress=progress,
        )
    table = this.per_fold_frame(scores, networks)
    arms = dict(zip(ARMS, np.array_split(np.arange(len(table)), len(ARMS)), strict=True))
    arms = {name: table.iloc[rows] for name, rows in arms.items()}
    this.options.seeds = n_seeds
    comparison = compare_pairs(arms, PAIRS).assign(family="baseline")
    path = this.write({"validation-null": comparison}, margin=MARGIN)
    print(*comparison_summary(comparison), f"  written:   {path}", sep="\n")
    wrong = (comparison[["dataset_direction", "new_data_direction"]] != "undecided").any(axis=None)
    if wrong or (comparison["dataset_size"] == "more").any():
        sys.exit("validate: a difference is found where there is none")


def validate_answers(options):
    """Simulate families of comparisons, and the widths of intervals with more or fewer runs."""
    with locked(options.results):
        arms = store.read_arms(options.results)
        if set(arms) != set(ARMS):
            raise InputError(f"{options.results} does not have all arms; run `make compare` first")
        sources = {name: store.checksum(options.results, name) for name in ARMS}
    found = {name: store.read_metadata(options.results, name) for name in ARMS}
    check_comparable(found)
    repeats, seeds = found["baseline"]["repeats"], min(each["seeds"] for each in found.values())
    if repeats < MIN_REPEATS or seeds < 2:
        least = f"at least {MIN_REPEATS} repeats and 2 seeds"
        raise InputError(f"the simulation needs arms with {least}, got {repeats} and {seeds}")
    check_results("validate", options)
    rows = simulate_families(paired_values(arms, PAIRS), N_FAMILIES, options.seed)
    names = list(ARMS)
    pairs = [(names.index(first), names.index(second)) for first, second in PAIRS]
    rows += simulate_new_data(N_DATASETS, options.seed, pairs, repeats)
    families = {"arms": len(PAIRS), "tips": len(CLAIMS)}
    widths = expected_widths(arms["hidden"], arms["control"], SIZES, families)
    frames = {"validation-answers": pd.DataFrame(rows), "validation-power": pd.DataFrame(widths)}
    metadata = {"seed": options.seed, "tables": sources, "margin": MARGIN} | provenance()
    path = store.write_tables(options.results, frames, metadata)
    for row in rows:
        print(
            f"{row['question']}, true difference {row['difference']:g}: some verdict is wrong in "
            f"{row['wrong']:.1%} of {row['families']:,} families of {row['pairs']}"
        )
    print(f"  written:   {path}")
    if max(row["wrong"] for row in rows) > MOST_WRONG:
        sys.exit("validate: verdicts are wrong more often than claimed")


PARTS = {"tables": validate_tables, "kills": validate_kills, "answers": validate_answers}
NETWORKS = {"null": COMMANDS["all"].defaults}  # by part; others: 5 repeats


def choose(options):
    """Check what the options ask for: the engines, unless they name another part."""
    for name, number in NETWORKS.get(options.part, {"repeats": 5, "seeds": 1}).items():
        if getattr(options, name) is None:
            setattr(options, name, number)
    run, check = validate, check_folds
    if options.part == "null":
        run, check = validate_null, lambda this: check_repeats(this.options.repeats)
    PARTS.get(options.part, experiment_action("validate", run, check))(options)


main = cli.script("validate", __doc__, choose)

if __name__ == "__main__":
    main()

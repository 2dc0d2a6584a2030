"""Read the result tables into findings: plain numbers, names and verdicts, but no sentences.

Each function takes the results folder and returns what one part of the pages states. The
templates put it into words.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import compare, verdict
from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.schema import ARMS, TABLES, Table
from experiments.reporting.claims import UNDECIDED, judge_claims, judge_tips

PREFIX = "mlp__model__"  # of the network's parameters in a search space
RATES = ("visible_dropout", "hidden_dropout")
TIPS = 5
SIDES = ("first", "second")
CONTROL = {"hidden_units": [60, 30], "max_norm": 3, "learning_rate": 0.1, "momentum": 0.9}


def collect(folder: Path) -> dict:
    """Return the findings of all parts; those whose tables do not exist are None."""
    claims, _ = judge(folder)
    needed = {
        "accuracy": (accuracy, ["summary"]),
        "comparison": (read_comparison, ["comparison"]),
        "tips": (tips, ["tips", "tips-comparison"]),
        "dropout_modes": (dropout_modes, ["evaluation"]),
        "tuning": (tuning, ["tuned", "tuning"]),
        "validation": (validation, ["validation"]),
        "speed": (speed, ["benchmark"]),
    }
    found = {
        part: find(folder) if all(store.exists(folder, name) for name in names) else None
        for part, (find, names) in needed.items()
    }
    return found | {
        "claims": None if claims is None else _records(claims),
        "answers": None if claims is None else answers(folder, claims),
        "figures": {path.stem for path in (folder / "figures").glob("*.png")},
        "run": run(folder),
        "files": files(folder, [] if claims is None else ["claims"]),
    }


def check_tables(folder: Path) -> None:
    """Read every table that a report uses.

    Raises
    ------
    InputError
        If one of them is broken or outdated, or they are not all of the same dataset.
    """
    store.check_comparison_current(folder)
    datasets = {}
    for name in TABLES:
        # The report itself writes the claims; predictions are of other rows.
        if name not in ("claims", "predictions") and store.exists(folder, name):
            store.read_table(folder, name)
            if data := store.read_metadata(folder, name).get("data"):
                datasets.setdefault(data["sha256"], name)
    if len(datasets) > 1:
        first, second, *_ = datasets.values()
        raise InputError(
            f"{folder / second}.csv and {first}.csv are of different datasets; use one results "
            "folder per dataset"
        )


def judge(folder: Path) -> tuple[pd.DataFrame | None, dict]:
    """Judge the tutorial's claims.

    Returns
    -------
    claims : DataFrame or None
        The table ``claims``; None without a comparison, or on a dataset other than Sonar.
    metadata : dict
        Metadata of the tables that the claims follow from, by name.
    """
    if not store.exists(folder, "comparison"):
        return None, {}
    metadata = {"comparison": store.read_metadata(folder, "comparison")}
    published = store.read_published(metadata["comparison"]["data"]["sha256"])
    if published.empty:
        return None, {}
    parts = [
        judge_claims(store.read_arms(folder), store.read_table(folder, "comparison"), published)
    ]
    if store.exists(folder, "tips-comparison"):
        metadata["tips-comparison"] = store.read_metadata(folder, "tips-comparison")
        parts.append(judge_tips(store.read_table(folder, "tips-comparison")))
    return pd.concat(parts, ignore_index=True), metadata


def answers(folder: Path, claims: pd.DataFrame) -> dict:
    """Return what the answers to the main questions state."""
    comparison = {(pair["first"], pair["second"]): pair for pair in read_comparison(folder)}
    means = store.read_table(folder, "summary").set_index("experiment")["mean_accuracy"]
    context = store.read_table(folder, "context").groupby("experiment")["accuracy"].mean()
    best = means.idxmax()
    results = claims[claims["claim"].isin(["baseline_level", "visible_drop", "hidden_worse"])]
    counts = {
        name: int((results["dataset_verdict"] == name).sum())
        for name in ("reproduced", "contradicted", UNDECIDED)
    }
    found = {
        "n_rows": store.read_metadata(folder, "baseline")["data"]["rows"],
        "counts": counts,
        "n_results": len(results),
        "results": [*_records(results), *_records(claims[claims["claim"] == "single_runs"])],
        "dropout": {arm: comparison[arm, "control"] for arm in ("visible", "hidden")},
        "control": comparison["control", "baseline"],
        "best": {"name": best, "accuracy": means[best], "pair": comparison[best, "svc"]},
        "svc": context["svc"],
        "majority": context["majority"],
        "tips": None,
    }
    of_tips = claims[claims["tip"].notna()]
    if len(of_tips):
        by_verdict = of_tips.groupby("dataset_verdict", sort=False)
        found["tips"] = _collapsed(folder) | {
            "verdicts": {verdict: _records(rows) for verdict, rows in by_verdict}
        }
    return found


def accuracy(folder: Path) -> dict:
    """Return the accuracy of each arm, beside the published ones."""
    summary = store.read_table(folder, "summary")
    sha256 = store.read_metadata(folder, "summary")["data"]["sha256"]
    published = _records(store.read_published(sha256))
    return {
        "arms": _records(summary),
        "folds": int(summary["folds"].iloc[0]),
        "published": {(row["experiment"], row["edition"]): row for row in published},
    }


def read_comparison(folder: Path) -> list[dict]:
    """Return the comparisons of arms, one dictionary per pair."""
    return _records(store.read_table(folder, "comparison"))


def tips(folder: Path) -> dict:
    """Return every tip's comparisons of settings, and how many networks collapsed."""
    comparison = store.read_table(folder, "tips-comparison")
    settings = store.read_metadata(folder, "tips-comparison")["settings"]
    summary = store.read_table(folder, "tips")
    sections = []
    for tip in range(1, TIPS + 1):
        rows = summary[summary["tip"] == tip]
        claims = comparison[comparison["tip"] == tip].groupby("claim", sort=False)
        sections.append(
            {
                "tip": tip,
                "collapsed": int(rows["collapsed"].sum()),
                "networks": int(rows["networks"].sum()),
                "settings": int((rows["collapsed"] > 0).sum()),
                "claims": {
                    claim: [
                        pair | {side: _beyond_control(settings[pair[side]]) for side in SIDES}
                        for pair in _records(pairs)
                    ]
                    for claim, pairs in claims
                },
            }
        )
    return _collapsed(folder) | {"sections": sections}


def _beyond_control(settings):
    """Return the settings that differ from those of the control, which has no dropout."""
    return {name: value for name, value in settings.items() if CONTROL.get(name, 0) != value}


def tip_claims(folder: Path) -> dict:
    """Return the verdicts on the tips, and how many networks collapsed."""
    claims = judge_tips(store.read_table(folder, "tips-comparison"))
    return _collapsed(folder) | {"claims": _records(claims)}


def _collapsed(folder):
    """Return the size of the sweep of the tips, each setting counted once."""
    metadata = store.read_metadata(folder, "tips")
    collapsed = store.read_table(folder, "tips").drop_duplicates("setting")["collapsed"]
    per_setting = metadata["repeats"] * metadata["folds"]
    return {
        "repeats": metadata["repeats"],
        "folds": metadata["folds"],
        "networks_per_setting": per_setting,
        "n_networks": per_setting * len(collapsed),
        "n_collapsed": int(collapsed.sum()),
        "n_settings": len(collapsed),
        "n_settings_collapsed": int((collapsed > 0).sum()),
    }


def dropout_modes(folder: Path) -> dict:
    """Return the observations on dropout in training and evaluation mode."""
    observed = store.read_table(folder, "evaluation").set_index("observation")["value"]
    metadata = store.read_metadata(folder, "evaluation")
    if "monte_carlo_accuracy_dataset_low" not in observed:
        raise InputError(
            f"{folder / 'evaluation.csv'} is of an earlier version; re-run its command"
        )
    passes = {name: metadata[name] for name in ("passes", "monte_carlo_passes")}
    return observed.to_dict() | passes


def tuning(folder: Path) -> dict:
    """Return what the nested cross-validation found."""
    tuned = store.read_table(folder, "tuned")
    candidates = store.read_table(folder, "tuning")
    metadata = store.read_metadata(folder, "tuned")
    chosen = candidates[(candidates["fold"] == 0) & (candidates["chosen"] == 1)].iloc[0]
    settings = metadata["candidates"][metadata["best"]]
    return {
        "accuracy": tuned["accuracy"].mean(),
        "baseline_accuracy": tuned["baseline_accuracy"].mean(),
        "against_baseline": _difference(tuned, "accuracy", "baseline_accuracy"),
        "n_folds": len(tuned),
        "n_candidates": len(metadata["candidates"]),
        "n_diverged": int((~np.isfinite(tuned["log_loss"])).sum()),
        "inner_accuracy": chosen["accuracy"],
        "optimism": 100 * (tuned["inner_accuracy"] - tuned["accuracy"]).mean(),
        "settings": {name.removeprefix(PREFIX): value for name, value in settings.items()},
        "dropout": _dropout_in(tuned, metadata["candidates"]),
    }


def _dropout_in(tuned, candidates):
    """Return how often dropout was chosen, and the best candidates with and without it."""
    rates = [name for name in RATES if name in tuned]
    if not rates:
        return None
    with_dropout = [any(each.get(PREFIX + name) for name in rates) for each in candidates]
    found = {
        "n_chosen": int((tuned[rates] > 0).any(axis=1).sum()),
        "n_candidates": sum(with_dropout),
        "difference": None,
    }
    if "with_dropout_accuracy" in tuned:
        names = "with_dropout_accuracy", "without_dropout_accuracy"
        found |= {name: tuned[name].mean() for name in names}
        found["difference"] = _difference(tuned, *names)
    return found


def _difference(folds, first, second):
    """Compare two columns of accuracies fold by fold, in percentage points."""
    compared = compare(
        folds[first],
        folds[second],
        repeats=folds["repeat"],
        test_train_ratio=np.mean(folds["n_test"] / folds["n_train"]),
        scale=100,
    )
    return compared._asdict() | {
        "dataset_verdict": verdict(compared.difference, compared.dataset_p),
        "new_data_verdict": verdict(compared.difference, compared.new_data_p),
    }


def validation(folder: Path) -> dict:
    """Return the comparisons of the stacked engine with scikit-learn's loop and search."""
    searches = store.exists(folder, "validation-search")
    return {
        "arms": _records(store.read_table(folder, "validation")),
        "search": _records(store.read_table(folder, "validation-search")) if searches else None,
    }


def speed(folder: Path) -> dict:
    """Return the benchmark, and how many times as fast the stacked engine is."""
    table = store.read_table(folder, "benchmark")
    seconds = table.set_index(["way", "networks"])["process_seconds"]
    return {
        "rows": _records(table),
        "machine": store.read_metadata(folder, "benchmark")["machine"],
        "ratios": {
            networks: {
                way: seconds[way, networks] / seconds["stacked", networks]
                for way in ("tutorial", "tutorial, all cores")
            }
            for networks in (10, 100)
        },
    }


def run(folder: Path) -> dict:
    """Return the options, data and versions behind the tables."""
    first = next((name for name in (*ARMS, "tuned") if store.exists(folder, name)), None)
    if first is None:
        raise InputError(f"{folder} has no tables to report on; run an arm or `make tune` first")
    metadata = store.read_metadata(folder, first)
    tuned = store.read_metadata(folder, "tuned") if store.exists(folder, "tuned") else None
    return {
        "arms": metadata if first in ARMS else None,
        "tuned": tuned,
        "data": metadata["data"],
        "versions": metadata["versions"],
        "sonar": metadata["data"]["sha256"] == store.SONAR_SHA256,
    }


def files(folder: Path, written: Collection[str] = ()) -> list[tuple[list[str], Table]]:
    """Return the names and descriptions of the tables, those with the same columns together.

    `written` are the tables that are about to be written into the folder.
    """
    kinds = {}
    for name, table in TABLES.items():
        if name in written or store.exists(folder, name):
            kinds.setdefault((table.unit, *table.columns.items()), ([], table))[0].append(name)
    return list(kinds.values())


def _records(frame):
    """Return the rows of a table as dictionaries; missing values are None."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")

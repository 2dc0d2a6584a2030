"""Read the result tables into findings: plain numbers, names and verdicts, but no sentences.

Each function takes the results folder and returns what one part of the pages states. The
templates put it into words.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.foldstack.comparison import compare, direction, t_interval
from experiments.harness import store
from experiments.harness.errors import InputError
from experiments.harness.measures import MEASURES, chosen_by
from experiments.harness.runs import single_runs
from experiments.harness.schema import ARMS, TABLES, Table
from experiments.reporting.claims import judge_claims, judge_each_remedy, judge_tips

PREFIX = "mlp__model__"  # of the network's parameters in a search space
CONTROL = {"hidden_units": [60, 30], "max_norm": 3, "learning_rate": 0.1, "momentum": 0.9}
MARGIN = 0.01  # a gain below it is none: one point of an accuracy, one per cent of a loss
WAYS = ("baseline", "with_dropout", "without_dropout")  # beside the chosen candidates
ONE_CORE = ", one core"  # ending of a way's name in the benchmark


def collect(folder: Path, claims: pd.DataFrame | None) -> dict:
    """Return the findings of all parts; those whose tables do not exist are None.

    `claims` is the table that `judge` returns.
    """
    needed = {
        "accuracy": (accuracy, ["summary"]),
        "comparison": (partial(_read_records, name="comparison"), ["comparison"]),
        "overfitting": (overfitting, ["curves"]),
        "remedies": (remedies, ["comparison"]),
        "tips": (tips, ["tips", "tips-comparison"]),
        "dropout_modes": (dropout_modes, ["evaluation"]),
        "tuning": (tuning, ["tuned", "tuning"]),
        "null": (partial(_read_records, name="validation-null"), ["validation-null"]),
        "simulated": (simulated, ["validation-answers", "validation-power"]),
        "validation": (validation, ["validation"]),
        "speed": (speed, ["benchmark"]),
    }
    found = {
        part: find(folder) if all(store.exists(folder, name) for name in names) else None
        for part, (find, names) in needed.items()
    }
    return found | {
        "claims": None if claims is None else records(claims),
        "answers": None if claims is None else answers(folder, claims),
        "run": run(folder),
        "files": files(folder, [] if claims is None else ["claims"]),
    }


def check_tables(folder: Path) -> None:
    """Read every table of a report; raise `InputError` if they are not all of one dataset."""
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
    """Return the table ``claims``, and the metadata of the tables that it follows from by name.

    The table is None without a comparison, or on a dataset other than Sonar.
    """
    if not store.exists(folder, "comparison"):
        return None, {}
    metadata = {"comparison": store.read_metadata(folder, "comparison")}
    published = store.read_published(metadata["comparison"]["data"]["sha256"])
    if published.empty:
        return None, {}
    comparison = store.read_table(folder, "comparison")
    claims = [judge_claims(_arms_and_remedies(folder), comparison, published)]
    if store.exists(folder, "tips-comparison"):
        metadata["tips-comparison"] = store.read_metadata(folder, "tips-comparison")
        claims.append(_judge_tips(folder))
    return pd.concat(claims, ignore_index=True), metadata


def _arms_and_remedies(folder):
    tables = store.read_arms(folder)
    if store.exists(folder, "remedies"):
        tables |= dict(list(store.read_table(folder, "remedies").groupby("remedy")))
    return tables


def remedies(folder: Path) -> list[dict]:
    """Return each remedy's pairs with the baseline and the hidden arm, and whether it mends."""
    comparison = store.read_table(folder, "comparison")
    families = {name: records(pairs) for name, pairs in comparison.groupby("family")}
    on_hidden = {pair["first"]: pair for pair in families.get("remedies on hidden", [])}
    found = judge_each_remedy(families.get("remedies", []), _arms_and_remedies(folder))
    return [pair | {"on_hidden": on_hidden[pair["first"]]} for pair in found]


def answers(folder: Path, claims: pd.DataFrame) -> dict:
    """Return what the answers to the main questions state."""
    pairs = _read_records(folder, "comparison")
    comparison = {(pair["first"], pair["second"]): pair for pair in pairs}
    arms = store.read_arms(folder)
    means = {name: folds["accuracy"].mean() for name, folds in arms.items()}
    context = store.read_table(folder, "context").groupby("experiment")["accuracy"].mean()
    best = max(means, key=means.get)
    return {
        "claims": {claim["claim"]: claim for claim in records(claims)},
        "dropout": {arm: comparison[arm, "control"] for arm in ("visible", "hidden")},
        "control": comparison["control", "baseline"],
        "best": {"name": best, "accuracy": means[best], "pair": comparison[best, "svc"]},
        "readers": Counter(single_run_winners(arms)),
        "svc": context["svc"],
        "majority": context["majority"],
    }


def single_run_winners(arms: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the arm of the tutorial that each single run shows as the best, or "tie".

    The runs are those of the first seed on every split.
    """
    names = ["baseline", "visible", "hidden"]
    runs = pd.DataFrame({name: single_runs(arms[name]).xs(1, level="seed") for name in names})
    best = runs.round(9).eq(runs.round(9).max(axis=1), axis=0)
    return [row.idxmax() if row.sum() == 1 else "tie" for _, row in best.iterrows()]


def overfitting(folder: Path) -> dict:
    """Return where each arm's log loss on held-out rows is lowest, and where it ends."""
    curves = store.read_table(folder, "curves").sort_values("epoch")
    arms = {}
    for name in [arm for arm in ARMS if arm in set(curves["experiment"])]:
        losses = curves[curves["experiment"] == name].set_index("epoch")["log_loss"]
        arms[name] = {
            "best_epoch": losses.idxmin(),
            "best": losses.min(),
            "epochs": losses.index[-1],
            "last": losses.iloc[-1],
        }
    stopping = None
    if store.exists(folder, "stopping"):
        metadata = store.read_metadata(folder, "stopping")
        means = store.read_table(folder, "stopping")[["accuracy", "log_loss", "n_epochs"]].mean()
        options = {name: metadata[name] for name in ("patience", "validation_split")}
        stopping = means.to_dict() | options
    return {"arms": arms, "stopping": stopping}


def simulated(folder: Path) -> dict:
    """Return how often verdicts are wrong in simulations, and what more runs would give."""
    return {
        "answers": _read_records(folder, "validation-answers"),
        "power": _read_records(folder, "validation-power"),
    }


def accuracy(folder: Path) -> dict:
    """Return the accuracy of each arm, beside the published ones."""
    arms = _read_records(folder, "summary")
    sha256 = store.read_metadata(folder, "summary")["data"]["sha256"]
    published = records(store.read_published(sha256))
    return {
        "arms": arms,
        "folds": arms[0]["folds"],
        "published": {(row["experiment"], row["edition"]): row for row in published},
    }


def tips(folder: Path) -> dict:
    """Return every tip's claims with the settings that test them, and how many collapsed."""
    comparison = store.read_table(folder, "tips-comparison")
    differing = [  # from the control, which has no dropout
        {name: value for name, value in setting.items() if CONTROL.get(name, 0) != value}
        for setting in store.read_metadata(folder, "tips-comparison")["settings"]
    ]
    for side in ("first", "second"):
        comparison[side] = [differing[number] for number in comparison[side]]
    claims = records(_judge_tips(folder))
    tested = [claim | pair for claim, pair in zip(claims, records(comparison), strict=True)]
    for claim in tested:
        first, second = claim["first"], claim["second"]
        claim["changes"] = {key: each for key, each in first.items() if second.get(key) != each}
    sections = []
    for tip, rows in store.read_table(folder, "tips").groupby("tip"):
        rows = rows.drop_duplicates("setting")
        sections.append(
            {
                "tip": tip,
                "collapsed": rows["collapsed"].sum(),
                "networks": rows["networks"].sum(),
                "settings": (rows["collapsed"] > 0).sum(),
                "claims": [claim for claim in tested if claim["tip"] == tip],
            }
        )
    return _collapsed(folder) | {"sections": sections, "claims": tested}


def tip_claims(folder: Path) -> dict:
    """Return the verdicts on the tips, and how many networks collapsed."""
    return _collapsed(folder) | {"claims": records(_judge_tips(folder))}


def _judge_tips(folder):
    folds = store.read_table(folder, "tips-folds").groupby("setting")
    return judge_tips(store.read_table(folder, "tips-comparison"), dict(list(folds)))


def _collapsed(folder):
    """Return the size of the sweep of the tips, each setting counted once."""
    metadata = store.read_metadata(folder, "tips")
    by_setting = store.read_table(folder, "tips-folds").groupby("setting")["collapsed"]
    collapsed = by_setting.sum()
    return {
        "repeats": metadata["repeats"],
        "folds": metadata["folds"],
        "seeds": metadata["seeds"],
        "grid_repeats": metadata["grid_repeats"],
        "n_networks": by_setting.size().sum(),
        "n_collapsed": collapsed.sum(),
        "n_settings": len(collapsed),
        "n_settings_collapsed": (collapsed > 0).sum(),
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
    tables = {name: store.read_table(folder, name) for name in ("tuned", "tuning")}
    return tuning_in(tables, store.read_metadata(folder, "tuned"))


def tuning_in(tables: Mapping[str, pd.DataFrame], metadata: Mapping) -> dict:
    """Return what the tables of a nested cross-validation show.

    A network that has diverged has no score in the tables, or none that is finite. Here it
    counts as always guessing.
    """
    measure, guessing = chosen_by(metadata), metadata.get("guessing")
    tuned, tried = _without_gaps(tables["tuned"], guessing), tables["tuning"]
    chosen = tried[(tried["fold"] == 0) & (tried["chosen"] == 1)]
    settings = metadata["candidates"][metadata["best"]]
    if "epochs" in tried:
        settings = settings | {"epochs": int(chosen["epochs"].iloc[0])}
    name, loss = measure.name, "squared_error" if "squared_error" in tuned else "log_loss"
    inner = tuned[f"inner_{name}"]
    difference = _difference(tuned, name, f"baseline_{name}", measure)
    return {
        "answer": _answer(tuned, difference, guessing, measure),
        "guessing": guessing,
        "numbers": metadata["data"].get("task") == "regression",
        "measure": _described(measure, metadata),
        "measures": [
            {
                "measure": _described(MEASURES[each], metadata),
                "tuned": tuned[each].mean(),
                "baseline": tuned[f"baseline_{each}"].mean(),
                "guessing": guessing[each],
            }
            for each in (guessing or {})
            if each in MEASURES
        ],
        "score": tuned[name].mean(),
        "baseline_score": tuned[f"baseline_{name}"].mean(),
        "best_score": _best(tuned, measure),
        "against_baseline": difference,
        "n_folds": len(tuned),
        "n_candidates": len(metadata["candidates"]),
        "n_diverged": (~np.isfinite(tables["tuned"][loss])).sum(),
        "n_collapsed": (tuned["collapsed"] > 0).sum(),
        "n_candidates_collapsed": (tried.groupby("candidate")["collapsed"].sum() > 0).sum(),
        "inner_score": chosen[name].iloc[0],
        "optimism": _scale(measure) * (inner - tuned[name]).mean(),
        "settings": {name.removeprefix(PREFIX): value for name, value in settings.items()},
        "dropout": _dropout_in(tuned, metadata["candidates"], measure),
    }


def tuning_details(tables: Mapping[str, pd.DataFrame], metadata: Mapping) -> dict:
    """Return the best candidates on all rows and the scores of every outer fold."""
    measure, tried = chosen_by(metadata), tables["tuning"]
    tried = tried[tried["fold"] == 0]
    order = {"rung": False, measure.name: measure.sign < 0}
    tried = tried.sort_values(list(order), ascending=list(order.values()), kind="stable")
    return {
        "file": metadata["data"]["file"],
        "varied": list(tried.columns[tried.columns.get_loc("chosen") + 1 :]),
        "best": records(tried[:10]),
        "folds": records(tables["tuned"]),
    }


def _described(measure, metadata):
    """Return what a measure is called, and how to format its values and differences."""
    digits = 3
    if measure.name == "mean_absolute_error":  # in the units of what is predicted
        size = max(metadata["guessing"][measure.name], 1e-9)
        digits = max(0, 2 - math.floor(math.log10(size)))
    several = measure.name == "f1" and "f1_of" not in metadata
    return {
        "name": measure.name,
        "label": f"macro {measure.label}" if several else measure.label,
        "of": metadata.get("f1_of") if measure.name == "f1" else None,
        "percent": measure.percent,
        "score": ".1%" if measure.percent else f",.{digits}f",
        "difference": "+.1f" if measure.percent else f"+,.{digits}f",
    }


def _without_gaps(tuned, guessing):
    """Return the table with what guessing gets in place of scores that are not finite."""
    tuned = tuned.copy()
    for name in (guessing or {}).keys() & MEASURES.keys():
        for column in (name, *(f"{way}_{name}" for way in WAYS)):
            if column in tuned:
                tuned[column] = tuned[column].where(np.isfinite(tuned[column]), guessing[name])
    return tuned


def _answer(tuned, difference, guessing, measure):
    """Choose the answer to whether tuning is worth it, by this rule.

    - ``guessing``: neither the tuned networks nor the baseline are better than always guessing
      the largest class, or the mean; no 95% interval of a score over the outer folds lies on
      the better side of it.
    - ``use``: the 95% interval of the gain, tuned minus baseline, lies above zero.
    - ``keep``: the gain is not above zero, or its interval ends below the margin: one point of
      an accuracy, 0.01 of R², ROC AUC or F1, 1% of the loss that always guessing has.
    - ``unclear`` otherwise: the rows are too few to tell.

    A score that is the same in every fold, such as 100%, has no interval and counts as it is.
    """
    sign, name = measure.sign, measure.name
    scores = sign * tuned[name], sign * tuned[f"baseline_{name}"]
    intervals = [t_interval(of_folds) for of_folds in scores]
    lows = [found.mean if np.isinf(found.low) else found.low for found in intervals]
    if guessing and max(lows) <= sign * guessing[name]:
        return "guessing"
    ends = sorted(sign * difference[f"dataset_{end}"] for end in ("low", "high"))
    if ends[0] > 0:
        return "use"
    margin = MARGIN * (_scale(measure) if sign > 0 else guessing[name])
    if sign * difference["difference"] <= 0 or ends[1] < margin:
        return "keep"
    return "unclear"


def _best(tuned, measure):
    """Return the better mean score of the tuned networks and of the baseline."""
    means = [tuned[column].mean() for column in (measure.name, f"baseline_{measure.name}")]
    return max(means) if measure.sign > 0 else min(means)


def _scale(measure):
    """Return the factor of differences: those of accuracies are in percentage points."""
    return 100 if measure.percent else 1


def _dropout_in(tuned, candidates, measure):
    """Return how often dropout was chosen, and the best candidates with and without it."""
    rates = [name for name in ("visible_dropout", "hidden_dropout") if name in tuned]
    if not rates:
        return None
    with_dropout = [any(each.get(PREFIX + name) for name in rates) for each in candidates]
    ways = "with_dropout", "without_dropout"
    columns = {f"{way}_score": f"{way}_{measure.name}" for way in ways}
    compared = columns["with_dropout_score"] in tuned
    return {
        "n_chosen": (tuned[rates] > 0).any(axis=1).sum(),
        "n_candidates": sum(with_dropout),
        "difference": _difference(tuned, *columns.values(), measure) if compared else None,
    } | {name: tuned[column].mean() for name, column in columns.items() if compared}


def _difference(folds, first, second, measure):
    """Compare two columns of scores fold by fold; accuracies in percentage points.

    A difference that is the same in every fold has no interval. If the sign test finds it
    significant, which takes six folds, its value stands for both ends.
    """
    ratio = np.mean(folds["n_test"] / folds["n_train"])
    ways = {"repeats": folds["repeat"], "test_train_ratio": ratio, "scale": _scale(measure)}
    compared = compare(folds[first], folds[second], **ways)
    sign_test = 0.5 ** (len(folds) - 1)
    if np.isinf(compared.dataset_low) and sign_test < 0.05:
        ends = dict.fromkeys(("dataset_low", "dataset_high"), compared.difference)
        compared = compared._replace(**ends, dataset_p=sign_test)
    return compared._asdict() | {
        "dataset_verdict": direction(*_ends(compared, "dataset", measure.sign)),
        "new_data_verdict": direction(*_ends(compared, "new_data", measure.sign)),
    }


def _ends(compared, question, sign):
    """Return the ends of an interval of a gain; a loss's is the other way round."""
    ends = (getattr(compared, f"{question}_{end}") for end in ("low", "high"))
    return sorted(sign * end for end in ends)


def validation(folder: Path) -> dict:
    """Return what `make validate` has found, part by part."""
    parts = {"arms": "validation", "search": "validation-search", "tables": "validation-tables"}
    found = {
        part: _read_records(folder, name) if store.exists(folder, name) else None
        for part, name in parts.items()
    }
    if found["tables"]:
        found["minutes"] = store.read_metadata(folder, parts["tables"])["minutes"]
    return found


def speed(folder: Path) -> dict:
    """Return the benchmark, how many times as fast the stacked engine is, and its efficiency."""
    rows = _read_records(folder, "benchmark")
    seconds = {(row["way"], row["networks"]): row["process_seconds"] for row in rows}
    ratios = {
        networks: {
            way: seconds[way, networks] / seconds["stacked", networks]
            for way in ("tutorial", "tutorial, all cores")
        }
        for networks in (10, 100)
    }
    metadata = store.read_metadata(folder, "benchmark")
    machine, training = metadata["machine"], {}
    for row in rows:
        training.setdefault(row["networks"], {})[row["way"]] = row["training_seconds"]
    efficiencies = [
        of_way[way] / machine["cores"] / of_way[way.removesuffix(ONE_CORE)]
        for of_way in training.values()
        for way in of_way
        if way.endswith(ONE_CORE)
    ]
    sgemm = metadata.get("sgemm_gflops", {}).get(str(machine["cores"]))
    searches = []
    if store.exists(folder, "benchmark-search"):
        searches = _read_records(folder, "benchmark-search")
    return {
        "rows": rows,
        "searches": searches,
        "machine": machine,
        "ratios": ratios,
        "efficiencies": sorted(efficiencies),
        "sgemm": sgemm,
    }


def run(folder: Path) -> dict:
    """Return the options, data and versions behind the tables."""
    found = [name for name in (*ARMS, "tuned") if store.exists(folder, name)]
    if not found:
        raise InputError(f"{folder} has no tables to report on; run an arm or `make tune` first")
    metadata = store.read_metadata(folder, found[0])
    return {
        "arms": metadata if found[0] in ARMS else None,
        "tuned": store.read_metadata(folder, "tuned") if "tuned" in found else None,
        "data": metadata["data"],
        "versions": metadata["versions"],
        "sonar": metadata["data"]["sha256"] == store.SONAR_SHA256,
    }


def files(folder: Path, written: Collection[str] = ()) -> list[tuple[list[str], Table]]:
    """Return names and descriptions of the tables that exist or are to be `written`.

    Tables with the same columns share a description.
    """
    kinds = {}
    for name, table in TABLES.items():
        if name in written or store.exists(folder, name):
            kinds.setdefault((table.unit, *table.columns.items()), ([], table))[0].append(name)
    return list(kinds.values())


def _read_records(folder, name):
    return records(store.read_table(folder, name))


def records(frame: pd.DataFrame) -> list[dict]:
    """Return the rows of a table as dictionaries; missing values are None."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")

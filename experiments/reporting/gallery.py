"""Draw the figures whose tables exist."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments.harness import store
from experiments.harness.measures import chosen_by
from experiments.harness.paired import compare_tables
from experiments.harness.schema import ARMS
from experiments.reporting import plots, sweeps
from experiments.reporting.findings import single_run_winners

TUNING = ("tuning", "tuned")  # tables
RECOMMENDED = (0.2, 0.5)  # dropout rates, by the tutorial's first tip
NO_NORM = "none"


def draw(folder: Path) -> dict[str, Figure]:
    """Draw every figure whose tables exist in the folder, by name."""
    figures, majority = {}, None
    arms = store.read_arms(folder)
    if arms and store.exists(folder, "context"):
        context = dict(list(store.read_table(folder, "context").groupby("experiment")))
        majority = context["majority"]["accuracy"].mean()
        data = store.read_metadata(folder, next(iter(arms)))["data"]
        published = store.read_published(data["sha256"])
        if len(published) and {"baseline", "visible", "hidden"} <= set(arms):
            winners = single_run_winners(arms)
            figures["readers"] = plots.plot_readers(arms, winners, published)
        figures["accuracy"] = plots.plot_accuracy(arms, published, context["svc"])
    if store.exists(folder, "curves"):
        curves = store.read_table(folder, "curves")
        curves = curves.sort_values(
            "experiment", key=lambda names: names.map(ARMS.index), kind="stable"
        )
        stopped = None
        if store.exists(folder, "stopping"):
            stopped = store.read_table(folder, "stopping")["log_loss"].mean()
        figures["curves"] = plots.plot_curves(curves, stopped)
    if store.exists(folder, "comparison"):
        comparison = store.read_table(folder, "comparison")
        figures["differences"] = plots.plot_differences(comparison)
    if store.exists(folder, "evaluation-outputs"):
        outputs = store.read_table(folder, "evaluation-outputs")
        figures["evaluation"] = plots.plot_outputs(outputs)
    if store.exists(folder, "tips") and store.exists(folder, "tips-folds"):
        tables = (store.read_table(folder, name) for name in ("tips", "tips-folds"))
        figures |= draw_tips(*tables, majority)
    if store.exists(folder, "tuned"):
        tables = {name: store.read_table(folder, name) for name in TUNING}
        figures |= draw_tuning(tables, store.read_metadata(folder, "tuned"))
    return figures


def draw_tuning(tables: Mapping[str, pd.DataFrame], metadata: Mapping) -> dict[str, Figure]:
    """Draw the candidates, if dropout was searched, and the chosen settings."""
    tuning, tuned = (tables[name] for name in TUNING)
    figures, measure = {}, chosen_by(metadata)
    if {"visible_dropout", "hidden_dropout"} & set(tuning):
        baseline = tuned[f"baseline_{measure.name}"].mean()
        of_all = tuning[tuning["fold"] == 0]
        figures["tuning"] = sweeps.plot_candidates(of_all, measure, baseline)
    settings = list(tuned.columns[tuned.columns.get_loc("candidate") + 1 :])
    return figures | {"tuned": sweeps.plot_chosen(tuned, settings)}


def draw_tips(
    tips: pd.DataFrame, folds: pd.DataFrame, majority: float | None = None
) -> dict[str, Figure]:
    """Draw one figure per tip from the tables ``tips`` and ``tips-folds``.

    Each learning rate (for tip 4, with and without decay) has a column of panels. The lower row
    of tip 1 shows training rows. Tips 3 and 5 show differences, paired by split.
    """
    rate, width, place, schedule, norm = (tips[tips["tip"] == tip] for tip in range(1, 6))
    rate = rate.assign(lines="on " + rate["place"])
    names = [f"{100 * rate:g}% dropout" if rate else "no dropout" for rate in width["rate"]]
    width = width.assign(lines=names)
    schedule = schedule.assign(lines=[f"momentum {value:g}" for value in schedule["momentum"]])
    # The paper recommends n / p units, p being the share kept; widths double from 0.5 on.
    paper = dict(zip(width["lines"], np.log2(1 / (1 - width["rate"])) + 1, strict=True))
    width_label = "width relative to 60-30 (vertical: the paper's n / p)"
    decays = schedule["decay"].notna()
    by_decay = {", no decay": schedule[~decays], ", decay to a tenth": schedule[decays]}
    held_out, training = ("held-out rows", "accuracy"), ("training rows", "train_accuracy")
    rate_panels = _panels([held_out, training], _by_learning_rate(rate))
    width_panels = _panels([held_out], _by_learning_rate(width))
    schedule_panels = _panels([held_out], by_decay)
    guessing = {"guessing": majority}
    shaded = guessing | {"shaded": RECOMMENDED}
    tables = dict(list(folds.groupby("setting")))
    places = [
        (ending.removeprefix(", "), _against(part.assign(name=part["place"]), "none", tables))
        for ending, part in _by_learning_rate(place).items()
    ]
    norm = norm.sort_values("max_norm", kind="stable", na_position="last")
    names = [NO_NORM if pd.isna(value) else f"{value:g}" for value in norm["max_norm"]]
    norms = _against(norm.assign(name=names), "3", tables)
    sweep = sweeps.plot_sweep
    return {
        "tip1": sweep(rate, "rate", "share dropped", rate_panels, **shaded),
        "tip2": sweep(width, "width", width_label, width_panels, marks=paper, **guessing),
        "tip3": sweeps.plot_paired(places, "where 20% are dropped"),
        "tip4": sweep(schedule, "learning_rate", "learning rate", schedule_panels, **guessing),
        "tip5": sweeps.plot_paired([("20% dropout on the hidden layers", norms)], "max-norm"),
    }


def _against(rows, reference, tables):
    """Return the differences of settings from the one of that name, paired by split."""
    (base,) = rows[rows["name"] == reference]["setting"]
    found = []
    for row in rows[rows["name"] != reference].itertuples():
        repeats = set(tables[row.setting]["repeat"]) & set(tables[base]["repeat"])
        pair = [
            tables[setting][tables[setting]["repeat"].isin(repeats)]
            for setting in (row.setting, base)
        ]
        compared = compare_tables(*pair)
        found.append(
            {
                "name": row.name,
                "difference": compared.difference,
                "low": compared.dataset_low,
                "high": compared.dataset_high,
                "collapsed": row.collapsed,
                "networks": row.networks,
            }
        )
    return pd.DataFrame(found)


def _by_learning_rate(rows):
    """Return the rows of each learning rate, by the end of their panels' titles."""
    by_rate = rows.groupby("learning_rate", sort=False)
    return {f", learning rate {rate:g}": part for rate, part in by_rate}


def _panels(scores, columns):
    """Return a grid of panels, a row per score and a column per group of rows."""
    return [
        [(f"{title}{ending}", score, part) for ending, part in columns.items()]
        for title, score in scores
    ]

"""Draw the figures whose tables exist."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments.harness import store
from experiments.harness.measures import chosen_by
from experiments.harness.schema import ARMS
from experiments.reporting import plots

TUNING = ("tuning", "tuned")  # tables


def draw(folder: Path) -> dict[str, Figure]:
    """Draw every figure whose tables exist in the folder, by name."""
    figures = {}
    arms = store.read_arms(folder)
    if arms and store.exists(folder, "context"):
        context = store.read_table(folder, "context")
        majority = context.loc[context["experiment"] == "majority", "accuracy"].mean()
        data = store.read_metadata(folder, next(iter(arms)))["data"]
        published = store.read_published(data["sha256"])
        figures["accuracy"] = plots.plot_accuracy(arms, published, majority)
    if store.exists(folder, "curves"):
        curves = store.read_table(folder, "curves")
        curves = curves.sort_values(
            "experiment", key=lambda names: names.map(ARMS.index), kind="stable"
        )
        figures["curves"] = plots.plot_curves(curves)
    if store.exists(folder, "comparison"):
        comparison = store.read_table(folder, "comparison")
        of_arms = ~comparison["family"].str.startswith("remedies")
        figures["differences"] = plots.plot_differences(comparison[of_arms])
    if store.exists(folder, "evaluation-outputs"):
        outputs = store.read_table(folder, "evaluation-outputs")
        figures["evaluation"] = plots.plot_outputs(outputs)
    if store.exists(folder, "tips"):
        figures |= draw_tips(store.read_table(folder, "tips"))
    if store.exists(folder, "tuned"):
        tables = {name: store.read_table(folder, name) for name in TUNING}
        figures |= draw_tuning(tables, store.read_metadata(folder, "tuned"))
    return figures


def draw_tuning(tables: Mapping[str, pd.DataFrame], metadata: Mapping) -> dict[str, Figure]:
    """Draw the candidates, if dropout was searched, and the chosen settings."""
    tuning, tuned = (tables[name] for name in TUNING)
    figures, measure = {}, chosen_by(metadata)
    if {"visible_dropout", "hidden_dropout"} & set(tuning):
        figures["tuning"] = plots.plot_candidates(tuning[tuning["fold"] == 0], measure)
    settings = list(tuned.columns[tuned.columns.get_loc("candidate") + 1 :])
    return figures | {"tuned": plots.plot_chosen(tuned, settings)}


def draw_tips(tips: pd.DataFrame) -> dict[str, Figure]:
    """Draw one figure per tip from the table ``tips``.

    Each learning rate (for tip 4, with and without decay) has a column of panels. The upper
    row shows held-out rows; the lower row, where it helps, training rows.
    """
    rate, width, place, schedule, norm = (tips[tips["tip"] == tip] for tip in range(1, 6))
    rate = rate.assign(lines="on " + rate["place"])
    width = width.assign(lines=[f"{100 * rate:g}% dropout" for rate in width["rate"]])
    place = place.assign(lines="20% dropout")
    schedule = schedule.assign(lines=[f"momentum {value:g}" for value in schedule["momentum"]])
    norm = norm.assign(
        lines="20% dropout on the hidden layers",
        max_norm=["none" if pd.isna(value) else f"{value:g}" for value in norm["max_norm"]],
    )
    # The paper recommends n / p units, p being the share kept; widths double from 0.5 on.
    paper = dict(zip(width["lines"], np.log2(1 / (1 - width["rate"])) + 1, strict=True))
    width_label = "width, times (vertical: the paper's n / p)"
    decays = schedule["decay"].notna()
    by_decay = {", no decay": schedule[~decays], ", decay to a tenth": schedule[decays]}
    held_out, training = ("held out", "accuracy"), ("training", "train_accuracy")
    rate_panels = _panels([held_out, training], _by_learning_rate(rate))
    width_panels = _panels([held_out, training], _by_learning_rate(width))
    place_panels = _panels([held_out], _by_learning_rate(place))
    schedule_panels = _panels([held_out], by_decay)
    norm_panels = [[(*held_out, norm), (*training, norm)]]
    sweep = plots.plot_sweep
    return {
        "tip1": sweep(rate, "rate", "share dropped", rate_panels),
        "tip2": sweep(width, "width", width_label, width_panels, marks=paper),
        "tip3": sweep(place, "place", "where 20% are dropped", place_panels, joined=False),
        "tip4": sweep(schedule, "learning_rate", "learning rate", schedule_panels),
        "tip5": sweep(norm, "max_norm", "max-norm", norm_panels),
    }


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

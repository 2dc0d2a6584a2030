"""Figures: draw the tables in results/ into results/figures/, PNG and SVG.

$ make figures
  written:   results/figures/accuracy.png and .svg
  ...
"""

from experiments.harness.cli import (
    ALL_BUT_RESULTS,
    add_experiment_options,
    answer_mistakes,
    script_parser,
)


def main(argv=None):
    """Draw every figure whose tables are there."""
    parser = script_parser("figures", __doc__)
    add_experiment_options(parser, leave_out=ALL_BUT_RESULTS)
    options = parser.parse_args(argv)
    answer_mistakes("figures", lambda: _draw(options.results))


def _draw(results):
    from experiments.harness.files import locked

    with locked(results):
        _draw_all(results)


def _draw_all(results):
    from experiments.foldstack.comparison import check_together
    from experiments.harness import store as tables
    from experiments.reporting import plots as figures

    check_together(results)
    arms = tables.read_arms(results)
    drawn = {}
    if arms and (results / "context.csv").exists():
        context = tables.read_table(results, "context")
        majority = context.loc[context["experiment"] == "majority", "accuracy"].mean()
        data = tables.read_record(results, next(iter(arms)))["data"]
        published = tables.read_published(data["sha256"])
        drawn["accuracy"] = figures.plot_accuracy(arms, published, majority)
    if (results / "curves.csv").exists():
        curves = tables.read_table(results, "curves")
        order = {name: number for number, name in enumerate(tables.ARMS)}
        curves = curves.sort_values("experiment", key=lambda names: names.map(order), kind="stable")
        drawn["curves"] = figures.plot_curves(curves)
    if (results / "comparison.csv").exists():
        comparison = tables.read_table(results, "comparison")
        drawn["differences"] = figures.plot_differences(
            comparison[~comparison["family"].str.startswith("remedies")]
        )
    if (results / "evaluation-outputs.csv").exists():
        drawn["evaluation"] = figures.plot_outputs(tables.read_table(results, "evaluation-outputs"))
    if (results / "tips.csv").exists():
        drawn |= _draw_tips(tables.read_table(results, "tips"), figures)
    if (results / "tuned.csv").exists():
        tuning, tuned = (tables.read_table(results, name) for name in ("tuning", "tuned"))
        candidates = tuning[tuning["fold"] == 0]
        if {"visible_dropout", "hidden_dropout"} & set(candidates):
            drawn["tuning"] = figures.plot_candidates(candidates)
        settings = list(tuned.columns[tuned.columns.get_loc("candidate") + 1 :])
        drawn["tuned"] = figures.plot_chosen(tuned, settings)
    for name, figure in drawn.items():
        png, _ = figures.save(figure, results / "figures", name)
        print(f"  written:   {png} and .svg")
    if not drawn:
        print(f"nothing to draw in {results}; make compare first")


def _draw_tips(tips, figures):
    """Draw one figure a tip: which factor runs along the axis, which makes the lines.

    The columns of a figure are the learning rates (decays, for tip 4) that the tip is tried
    at; the upper row is of the folds held out, the lower one of training, where it matters.
    """
    import numpy as np

    by_tip = dict(list(tips.groupby("tip")))
    by_tip[1] = by_tip[1].assign(lines="on " + by_tip[1]["place"])
    by_tip[2] = by_tip[2].assign(lines=[f"{100 * rate:g}% dropout" for rate in by_tip[2]["rate"]])
    by_tip[3] = by_tip[3].assign(lines="20% dropout")
    by_tip[4] = by_tip[4].assign(lines=[f"momentum {m:g}" for m in by_tip[4]["momentum"]])
    by_tip[5] = by_tip[5].assign(
        lines="20% dropout on the hidden layers",
        max_norm=[f"{norm:g}" if norm == norm else "none" for norm in by_tip[5]["max_norm"]],
    )
    # The paper's rule: n units become n / p, p the share kept. Widths double from 0.5 on.
    paper = {name: np.log2(1 / (1 - rate)) + 1
             for name, rate in zip(by_tip[2]["lines"], by_tip[2]["rate"], strict=True)}  # fmt: skip

    def draw(tip, x, label, **details):
        rows = by_tip[tip]
        columns = {"": rows["networks"] > 0}
        if tip < 4:
            rates = rows["learning_rate"]
            columns = {f", learning rate {rate:g}": rates == rate for rate in rates.unique()}
        elif tip == 4:
            without = rows["decay"].isna()
            columns = {", no decay": without, ", decay to a tenth": ~without}
        scores = [("held out", "accuracy"), ("training", "train_accuracy")]
        panels = [
            [(title + column, score, mask) for column, mask in columns.items()]
            for title, score in (scores[:1] if tip in (3, 4) else scores)
        ]
        if tip == 5:  # side by side
            panels = [[*panels[0], *panels[1]]]
        return figures.plot_sweep(rows, x, label, panels=panels, **details)

    return {
        "tip1": draw(1, "rate", "share dropped"),
        "tip2": draw(2, "width", "width, times (vertical: the paper's n / p)", marks=paper),
        "tip3": draw(3, "place", "where 20% are dropped", joined=False),
        "tip4": draw(4, "learning_rate", "learning rate"),
        "tip5": draw(5, "max_norm", "max-norm"),
    }


if __name__ == "__main__":
    main()

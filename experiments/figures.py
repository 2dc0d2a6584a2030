"""Figures: draw the tables in results/ into results/figures/, PNG and SVG.

$ make figures
  written:   results/figures/accuracy.png and .svg
  ...
"""

from experiments.harness.options import add_experiment_options, answer_mistakes, script_parser

NOT_ASKED = ("repeats", "folds", "epochs", "seed", "jobs", "data", "engine", "curves", "verbose")


def main(argv=None):
    """Draw every figure whose tables are there."""
    parser = script_parser("figures", __doc__)
    add_experiment_options(parser, leave_out=NOT_ASKED)
    options = parser.parse_args(argv)
    answer_mistakes("figures", lambda: _draw(options.results))


def _draw(results):
    from experiments.harness import figures, tables

    arms = {
        name: tables.read_arm(results, name)
        for name in tables.ARMS
        if (results / f"{name}.csv").exists()
    }
    drawn = {}
    if arms and (results / "context.csv").exists():
        context = tables.read_table(results, "context")
        majority = context.loc[context["experiment"] == "majority", "accuracy"].mean()
        drawn["accuracy"] = figures.plot_accuracy(arms, tables.read_published(), majority)
    if (results / "curves.csv").exists():
        curves = tables.read_table(results, "curves")
        order = {name: number for number, name in enumerate(tables.ARMS)}
        curves = curves.sort_values("experiment", key=lambda names: names.map(order), kind="stable")
        drawn["curves"] = figures.plot_curves(curves)
    if (results / "comparison.csv").exists():
        comparison = tables.read_table(results, "comparison")
        drawn["differences"] = figures.plot_differences(
            comparison[comparison["family"] != "remedies"]
        )
    for name, figure in drawn.items():
        png, _ = figures.save(figure, results / "figures", name)
        print(f"  written:   {png} and .svg")
    if not drawn:
        print(f"nothing to draw in {results}; make compare first")


if __name__ == "__main__":
    main()

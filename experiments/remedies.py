"""Remedies: do more epochs or another learning rate mend the hidden arm?

The tutorial finds that dropout on the hidden layers does worse than the baseline, and
suggests that more epochs or a different learning rate might help. Here the hidden arm
trains at learning rates 0.01, 0.03 and 0.1 for 1,200 epochs, scored after 300, 600 and
1,200 (one training passes through all three). `make compare` sets them against the
baseline.

    $ make remedies
    learning rate 0.01: 84.56% after 300, 84.23% after 600, ... epochs
"""

from experiments.harness.cli import add_experiment_options, answer_mistakes, script_parser
from experiments.hidden import SETTINGS as HIDDEN

LEARNING_RATES = (0.01, 0.03, 0.1)
TIMES_EPOCHS = (1, 2, 4)


def main(argv=None):
    """Train the hidden arm at other learning rates and for longer."""
    parser = script_parser("remedies", __doc__)
    add_experiment_options(parser, leave_out=("scheduler", "engine", "curves", "verbose"))
    options = parser.parse_args(argv)
    answer_mistakes("remedies", lambda: _remedies(options))


def _remedies(options):
    from experiments.harness.dataset import read_dataset

    data = read_dataset(options.data, folds=options.folds, target=options.target)

    from experiments.harness import files
    from experiments.harness import store as tables

    files.check_folder(options.results)

    from experiments.foldstack.classifier import build_pipeline
    from experiments.foldstack.cross_validation import cross_validate, repeated_splits
    from experiments.harness.progress import progress_bar
    from experiments.harness.runner import check_finite, fold_columns, record_of

    import pandas as pd  # isort: skip

    splits = repeated_splits(
        data.X, data.y, folds=options.folds, repeats=options.repeats, seed=options.seed
    )
    number_of_epochs = [times * options.epochs for times in TIMES_EPOCHS]
    parts = []
    with progress_bar("remedies", len(splits) * len(LEARNING_RATES)) as progress:
        for rate in LEARNING_RATES:
            pipeline = build_pipeline(
                HIDDEN | {"learning_rate": rate},
                epochs=number_of_epochs[-1], random_state=options.seed,
            )  # fmt: skip
            curves = cross_validate(
                pipeline, data.X, data.y, splits,
                jobs=options.jobs, return_curves=True, progress=progress,
            )["curves"]  # fmt: skip
            for epochs in number_of_epochs:
                scores = {key: curve[:, epochs - 1] for key, curve in curves.items()}
                check_finite(scores)
                columns = fold_columns(splits, options.folds, scores)
                parts.append(pd.DataFrame({"learning_rate": rate, "epochs": epochs} | columns))
    table = pd.concat(parts)
    record = record_of("remedies", options, data, splits, settings=HIDDEN, engine="stacked")
    path = tables.write_table(options.results, "remedies", table, record)
    for rate, rows in table.groupby("learning_rate"):
        means = rows.groupby("epochs")["accuracy"].mean()
        said = ", ".join(f"{mean:.2%} after {epochs}" for epochs, mean in means.items())
        print(f"learning rate {rate:<4g}: {said} epochs")
    print(f"  written:   {path}")


if __name__ == "__main__":
    main()

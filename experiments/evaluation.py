"""Evaluation: what dropout does to a trained network in training and at evaluation.

The tutorial says that at evaluation a Dropout layer multiplies its inputs by 1 − rate.
Keras does it the other way about: in training it multiplies what it keeps by 1 / (1 − rate),
at evaluation it does nothing. Shown on a hidden arm's network, with the tutorial's way
computed on the same weights. And beyond the tutorial: does it help to keep dropout on when
predicting, and to average over many passes (Monte Carlo dropout)?

    $ make evaluation
    At evaluation, 100 times: the same outputs every time.
    ...
"""

from experiments.harness.cli import add_experiment_options, answer_mistakes, script_parser
from experiments.hidden import SETTINGS as HIDDEN

PASSES = 1000
MONTE_CARLO_PASSES = 100


def main(argv=None):
    """Train the hidden arm and look at its dropout layers."""
    parser = script_parser("evaluation", __doc__)
    add_experiment_options(parser, leave_out=("scheduler", "engine", "curves", "verbose"))
    options = parser.parse_args(argv)
    answer_mistakes("evaluation", lambda: _evaluation(options))


def _evaluation(options):
    from experiments.harness.dataset import read_dataset

    data = read_dataset(options.data, folds=options.folds, target=options.target)

    from experiments.harness import files
    from experiments.harness import store as tables

    files.check_folder(options.results)

    import pandas as pd

    from experiments.foldstack.classifier import build_pipeline
    from experiments.foldstack.comparison import compare
    from experiments.foldstack.cross_validation import cross_validate, repeated_splits
    from experiments.harness.progress import progress_bar
    from experiments.harness.runner import check_finite, fold_columns, record_of

    splits = repeated_splits(
        data.X, data.y, folds=options.folds, repeats=options.repeats, seed=options.seed
    )
    pipeline = build_pipeline(HIDDEN, epochs=options.epochs, random_state=options.seed)
    with progress_bar("evaluation", len(splits) + 1) as progress:
        scores = cross_validate(
            pipeline, data.X, data.y, splits, jobs=options.jobs,
            dropout_passes=MONTE_CARLO_PASSES, progress=progress,
        )  # fmt: skip
        (fitted,) = cross_validate(
            pipeline, data.X, data.y, splits[:1], jobs=1, return_estimator=True, progress=progress
        )["estimator"]

    rows = fitted[:-1].transform(data.X[splits[0][1]]).astype("float32")
    observed, outputs = _observe(fitted[-1].model_, rows)

    check_finite(scores)
    folds = pd.DataFrame(fold_columns(splits, options.folds, scores))
    averaged = folds.assign(accuracy=scores["dropout_score"], log_loss=scores["dropout_log_loss"])
    for score, scale in (("accuracy", 100), ("log_loss", 1)):
        difference = compare(averaged, folds, score, scale)
        observed[f"monte_carlo_{score}"] = averaged[score].mean()
        observed[f"evaluation_{score}"] = folds[score].mean()
        for key in ("difference", "these_low", "these_high", "new_low", "new_high"):
            observed[f"monte_carlo_{score}_{key}"] = difference[key]

    record = record_of("evaluation", options, data, splits, settings=HIDDEN,
                       passes=PASSES, monte_carlo_passes=MONTE_CARLO_PASSES)  # fmt: skip
    folds["dropout_accuracy"] = averaged["accuracy"]
    folds["dropout_log_loss"] = averaged["log_loss"]
    table = pd.DataFrame({"observation": list(observed), "value": list(observed.values())})
    frames = {"evaluation-folds": folds, "evaluation-outputs": outputs, "evaluation": table}
    path = tables.write_tables(options.results, frames, record)

    from experiments.reporting.pages import evaluation_words

    for line in evaluation_words(options.results):
        print(line)
    print(f"  written:   {path}")


def _observe(network, rows):
    """Look at a trained network's outputs and dropout layers in both modes.

    Returns
    -------
    dict of numbers by name, and a data frame of one row per row predicted.
    """
    import numpy as np
    import pandas as pd

    from experiments.foldstack.backend import keras

    still = np.stack([network(rows, training=False).numpy()[:, 0] for _ in range(100)])
    many = np.repeat(rows, PASSES, axis=0)  # a mask is drawn for every row of a batch
    noisy = network(many, training=True).numpy().reshape(len(rows), PASSES)

    layers = network.layers
    (first, *_) = (i for i, one in enumerate(layers) if isinstance(one, keras.layers.Dropout))
    dropout, rate = layers[first], layers[first].rate
    ones = np.ones((PASSES, dropout.input.shape[-1]), np.float32)
    trained = dropout(ones, training=True).numpy()

    # The first hidden layer's activations through its dropout layer, both ways.
    activations = keras.Sequential(layers[:first])(rows).numpy()
    repeated = np.repeat(activations, PASSES, axis=0)
    by_keras = dropout(repeated, training=True).numpy()
    by_tutorial = repeated * (dropout(repeated, training=True).numpy() != 0)  # other masks
    size = activations.mean()

    outputs = pd.DataFrame(
        {
            "row": np.arange(1, len(rows) + 1),
            "evaluation": still[0],
            "mean": noisy.mean(axis=1),
            "low": np.quantile(noisy, 0.1, axis=1),
            "high": np.quantile(noisy, 0.9, axis=1),
        }
    )
    far = np.abs(outputs["mean"] - outputs["evaluation"])
    scaled = _tutorial_outputs(network, rows, keras.layers.Dropout)
    return {
        "evaluation_largest_change": np.ptp(still, axis=0).max(),
        "training_standard_deviation": noisy.std(axis=1).mean(),
        "training_mean_less_evaluation_mean": far.mean(),
        "training_mean_less_evaluation_largest": far.max(),
        "rate": rate,
        "layer_training_dropped": np.mean(trained == 0),
        "layer_training_kept_value": trained.max(),
        "layer_training_mean": trained.mean(),
        "layer_evaluation_smallest": dropout(ones, training=False).numpy().min(),
        "layer_evaluation_largest": dropout(ones, training=False).numpy().max(),
        "keras_training_mean_to_evaluation": by_keras.mean() / size,
        "tutorial_training_mean_to_evaluation": by_tutorial.mean() / ((1 - rate) * size),
        "tutorial_output_largest_difference": np.abs(scaled - still[0]).max(),
    }, outputs


def _tutorial_outputs(network, rows, dropout_class):
    """Predict the tutorial's way: dropout layers multiply by 1 − rate at evaluation.

    A network trained that way, without Keras' factor 1 / (1 − rate), has weights larger by
    that factor behind each dropout layer; with these it is the same network.
    """
    outputs, factor = rows, 1.0
    for layer in network.layers:
        if isinstance(layer, dropout_class):
            outputs, factor = outputs * (1 - layer.rate), factor / (1 - layer.rate)
        else:
            kernel, bias = layer.get_weights()
            outputs = layer.activation(outputs @ (kernel * factor) + bias).numpy()
            factor = 1.0
    return outputs[:, 0]


if __name__ == "__main__":
    main()

"""The tutorial's network and its pipeline: one builder, the arms are its settings."""

from collections.abc import Sequence
from math import inf

from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from .estimators import KerasClassifier, StandardizedRegressor, keras, resolve_batch_size


def build_network(
    meta: dict,
    params: dict | None = None,
    *,
    task: str = "classification",
    hidden_units: Sequence[int] = (60, 30),
    visible_dropout: float = 0.0,
    hidden_dropout: float = 0.0,
    max_norm: float | None = None,
    learning_rate: float = 0.01,
    momentum: float = 0.8,
    learning_rate_decay: float | None = None,
) -> keras.Sequential:
    """Build and compile a network; its outputs and loss follow from the data.

    Two classes: a sigmoid, binary cross-entropy. More: one softmax output for each, sparse
    categorical cross-entropy, or categorical if the classes are one-hot. Numbers: a linear
    output for each target, the mean squared error.

    Parameters
    ----------
    meta : dict
        scikeras' description of the data: ``n_features_in_``, the input width; ``n_classes_``,
        by default 2, and ``target_type_``, which tells whether they are one-hot;
        ``n_outputs_`` of a regression, by default 1.
    params : dict, optional
        The classifier's parameters, ``epochs`` and ``batch_size`` among them, as scikeras
        passes them. Needed only for a decay.
    task : {"classification", "regression"}, default="classification"
    hidden_units : sequence of int, default=(60, 30)
        Units of each hidden layer (relu), first to last.
    visible_dropout, hidden_dropout : float, default=0.0
        Dropout rate of the inputs and after every hidden layer, in [0, 1); 0 adds no layers.
    max_norm : float or None, default=None
        Largest norm of a hidden unit's incoming weights; None does not constrain them.
    learning_rate : float, default=0.01
        Of stochastic gradient descent.
    momentum : float, default=0.8
    learning_rate_decay : float or None, default=None
        Factor of the learning rate at the end of training, approached exponentially, step by
        step; None keeps the learning rate constant.

    Returns
    -------
    keras.Sequential
        Maps (n_samples, n_features) to (n_samples, n_outputs): the probability of the second
        of two classes, that of each of several classes, or numbers.

    Raises
    ------
    ValueError
        If a value is out of range.
    """
    learning_rate, momentum = float(learning_rate), float(momentum)  # Keras accepts no integers
    decay = learning_rate_decay
    is_sequence = not isinstance(hidden_units, int | str)
    tasks = "classification", "regression"
    checks = [
        ("task", task, task in tasks, "'classification' or 'regression'"),
        ("hidden_units", hidden_units, is_sequence, "a sequence such as (60, 30)"),
        ("max_norm", max_norm, max_norm is None or 0 < max_norm < inf, "a positive number or None"),
        ("learning_rate", learning_rate, 0 < learning_rate < inf, "a positive number"),
        ("visible_dropout", visible_dropout, 0 <= visible_dropout < 1, "in [0, 1)"),
        ("hidden_dropout", hidden_dropout, 0 <= hidden_dropout < 1, "in [0, 1)"),
        ("momentum", momentum, 0 <= momentum < 1, "in [0, 1)"),
        ("learning_rate_decay", decay, decay is None or 0 < decay <= 1, "in (0, 1] or None"),
    ]
    for name, value, valid, expected in checks:
        if not valid:
            raise ValueError(f"`{name}` must be {expected}, got {value!r}")
    if (params or {}).get("optimizer", "rmsprop") != "rmsprop":  # scikeras' default
        raise ValueError("`optimizer` has no effect: `build_network` trains with SGD")
    layers = [keras.Input((meta["n_features_in_"],))]
    if visible_dropout:
        layers.append(keras.layers.Dropout(visible_dropout))
    for units in hidden_units:
        constraint = None if max_norm is None else keras.constraints.MaxNorm(max_norm)
        layers.append(keras.layers.Dense(units, activation="relu", kernel_constraint=constraint))
        if hidden_dropout:
            layers.append(keras.layers.Dropout(hidden_dropout))
    n_outputs, activation, loss = _output(meta, task)
    layers.append(keras.layers.Dense(n_outputs, activation=activation))
    if decay is not None:
        n_samples = meta["X_shape_"][0]
        n_batches = -(-n_samples // resolve_batch_size(params["batch_size"], n_samples))
        learning_rate = keras.optimizers.schedules.ExponentialDecay(
            learning_rate, params["epochs"] * n_batches, decay
        )
    network = keras.Sequential(layers)
    optimizer = keras.optimizers.SGD(learning_rate, momentum=momentum)
    network.compile(loss=loss, optimizer=optimizer)
    return network


def _output(meta, task):
    """Return the number of outputs, their activation and the loss."""
    if task == "regression":
        return meta.get("n_outputs_", 1), None, "mean_squared_error"
    n_classes, one_hot = (
        meta.get("n_classes_", 2),
        meta.get("target_type_") == "multilabel-indicator",
    )
    if n_classes <= 2 and not one_hot:
        return 1, "sigmoid", "binary_crossentropy"
    return n_classes, "softmax", f"{'' if one_hot else 'sparse_'}categorical_crossentropy"


def build_pipeline(
    *,
    task: str = "classification",
    epochs: int = 300,
    batch_size: int = 16,
    random_state: int | None = None,
    **settings,
) -> Pipeline:
    """Build the unfitted pipeline ``standardize`` (StandardScaler) → ``mlp`` (a Keras network).

    Parameters
    ----------
    task : {"classification", "regression"}, default="classification"
        Whether the last step is a `KerasClassifier` or a `KerasRegressor`, whose network learns
        standardised targets.
    epochs : int, default=300
    batch_size : int or None, default=16
        None means 32 (Keras' default), -1 the whole training set.
    random_state : int or None, default=None
        Seed of the initial weights, the order of samples and the dropout masks.
    **settings
        Keyword parameters of `build_network`. Each is a parameter of the pipeline, too:
        ``mlp__model__<name>``.

    Raises
    ------
    TypeError
        If a setting is unknown; the message lists those that exist.
    """
    defaults = build_network.__kwdefaults__ | {"task": task}
    if unknown := sorted(settings.keys() - defaults.keys()):
        raise TypeError(
            f"build_pipeline() got an unknown setting {unknown[0]!r}; the settings are epochs, "
            f"batch_size, random_state, {', '.join(defaults)}"
        )
    estimator = StandardizedRegressor if task == "regression" else KerasClassifier
    network = estimator(
        model=build_network,
        epochs=epochs,
        batch_size=batch_size,
        verbose=0,
        random_state=random_state,
        **{f"model__{name}": value for name, value in (defaults | settings).items()},
    )
    return Pipeline([("standardize", StandardScaler()), ("mlp", network)])

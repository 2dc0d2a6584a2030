"""The one model builder: every arm is this network with other settings."""

import math
from collections.abc import Sequence

from experiments.foldstack.backend import keras


def build_network(
    meta: dict,
    params: dict | None = None,
    *,
    hidden_units: Sequence[int] = (60, 30),
    visible_dropout: float = 0.0,
    hidden_dropout: float = 0.0,
    max_norm: float | None = None,
    learning_rate: float = 0.01,
    momentum: float = 0.8,
    learning_rate_decay: float | None = None,
) -> keras.Sequential:
    """Build and compile the tutorial's network; the defaults are its baseline.

    Parameters
    ----------
    meta : dict
        What scikeras knows of the data; ``meta["n_features_in_"]`` is the input width.
    params : dict, optional
        The classifier's parameters, ``epochs`` and ``batch_size`` among them; scikeras hands
        them over. Needed for a decay only.
    hidden_units : sequence of int
        Units of each hidden layer (relu), first to last.
    visible_dropout : float
        Share of the inputs dropped in training, in [0, 1); 0 adds no layer.
    hidden_dropout : float
        Share dropped after every hidden layer in training, in [0, 1); 0 adds no layers.
    max_norm : float or None
        Largest norm of a hidden unit's incoming weights; None leaves them free.
    learning_rate, momentum : float
        Of plain stochastic gradient descent.
    learning_rate_decay : float or None
        Share of the learning rate that is left at the end of training, approached
        exponentially, step by step; None keeps it as it is.

    Raises
    ------
    ValueError
        If no network can be built or trained with such values.

    Returns
    -------
    keras.Sequential
        Maps (rows, features) to (rows, 1), the probability of the second class.
    """
    learning_rate, momentum = float(learning_rate), float(momentum)  # Keras takes no whole number
    _check(hidden_units, max_norm, learning_rate)
    for name, share in (("visible_dropout", visible_dropout), ("hidden_dropout", hidden_dropout),
                        ("momentum", momentum)):  # fmt: skip
        if not 0 <= share < 1:
            raise ValueError(f"{name} is at least 0 and less than 1, not {share!r}")
    if learning_rate_decay is not None and not 0 < learning_rate_decay <= 1:
        raise ValueError(f"learning_rate_decay is a share or None, not {learning_rate_decay!r}")
    layers = [keras.Input((meta["n_features_in_"],))]
    if visible_dropout:
        layers.append(keras.layers.Dropout(visible_dropout))
    for units in hidden_units:
        constraint = None if max_norm is None else keras.constraints.MaxNorm(max_norm)
        layers.append(keras.layers.Dense(units, activation="relu", kernel_constraint=constraint))
        if hidden_dropout:
            layers.append(keras.layers.Dropout(hidden_dropout))
    layers.append(keras.layers.Dense(1, activation="sigmoid"))
    if learning_rate_decay is not None:
        rows = meta["X_shape_"][0]
        batches = -(-rows // rows_in_a_step(params["batch_size"], rows))
        learning_rate = keras.optimizers.schedules.ExponentialDecay(
            learning_rate, params["epochs"] * batches, learning_rate_decay
        )
    network = keras.Sequential(layers)
    network.compile(
        loss="binary_crossentropy",
        optimizer=keras.optimizers.SGD(learning_rate, momentum=momentum),
    )
    return network


def rows_in_a_step(batch_size: int | None, rows: int) -> int:
    """Give the rows in a step of training: scikeras' None is Keras' 32, its -1 is all."""
    return {None: 32, -1: rows}.get(batch_size, batch_size)


def _check(hidden_units, max_norm, learning_rate):
    """Refuse what Keras would take, and fail with later or never learn."""
    if isinstance(hidden_units, int | str):
        raise ValueError(f"hidden_units is a sequence, as (60, 30), not {hidden_units!r}")
    if max_norm is not None and not 0 < max_norm < math.inf:
        raise ValueError(f"max_norm is a positive number or None, not {max_norm!r}")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate is a positive number, not {learning_rate!r}")

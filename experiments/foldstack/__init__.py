"""Train, score and search many small Keras networks at once, with scikit-learn's API.

A cross-validation trains the same network again and again on slightly different rows.
foldstack trains the networks of all folds, repeats and candidates side by side, as one
Keras model, and returns what scikit-learn would have returned, many times as fast::

    from foldstack import build_pipeline, cross_validate

    pipeline = build_pipeline(hidden_units=(60, 30), hidden_dropout=0.2, random_state=0)
    scores = cross_validate(pipeline, X, y, cv=10)
    print(scores["test_score"].mean())

`cross_validate` and `StackedSearchCV` are used like their namesakes in scikit-learn,
`nested_cross_validate` estimates how well a search does, and `compare` compares two
cross-validations fold by fold. Models are trained with TensorFlow, which is imported when
it is first needed. Do not import it before: `stack` does so in the way that is fastest.
"""

import importlib

__version__ = "0.1.0"

_NAMES = {
    "comparison": [
        "Comparison",
        "Interval",
        "compare",
        "corrected_resampled_t",
        "family_level",
        "holm",
        "prediction_interval",
        "proportion_interval",
        "simulate_reruns",
        "t_interval",
    ],
    "draws": ["Draws"],
    "engine": ["Samples", "Stack"],  # behind `recipe`, which imports TensorFlow
    "estimators": ["KerasClassifier", "KerasRegressor"],
    "export": ["check_exported", "export_network", "load_network", "predict", "predict_numbers"],
    "labels": ["read_labels"],
    "metrics": ["measure", "measure_classes", "measure_numbers"],
    "model_selection": [
        "StackedSearchCV",
        "check_candidates",
        "cross_validate",
        "draw_candidates",
        "fit_candidate",
    ],
    "nested": ["nested_cross_validate", "nested_splits", "repeated_splits"],
    "network": ["build_network", "build_pipeline"],
    "preparation": ["build_preparation"],
    "reference": ["cross_validate_sequentially"],
    "recipe": ["Recipe", "Unstackable"],
    "tasks": ["network_seeds"],
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_MODULES)


def __getattr__(name):
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})

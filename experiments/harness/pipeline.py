"""The scikit-learn pipeline around the network; the one place that knows scikeras."""

from collections.abc import Mapping

from experiments.harness.model import build_network  # first: it quietens TensorFlow

# isort: split
from scikeras.wrappers import KerasClassifier as ScikerasClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import ClassifierTags


class KerasClassifier(ScikerasClassifier):
    """scikeras' classifier, which scikit-learn recognises as one.

    scikeras 0.13 describes itself in a way that scikit-learn 1.6 stopped reading, so that
    `is_classifier` was False and ``cv=10`` silently meant folds that are not stratified.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags()
        tags.target_tags.required = True
        return tags


def build_pipeline(
    settings: Mapping[str, object],
    *,
    epochs: int = 300,
    batch_size: int = 16,
    random_state: int | None = None,
) -> Pipeline:
    """Build the pipeline standardize → mlp, unfitted.

    Parameters
    ----------
    settings : mapping
        Keyword parameters of `build_network`; each is reachable on the pipeline as
        ``mlp__model__<name>``.
    epochs, batch_size : int
        Passes over the training rows, rows in a step of training.
    random_state : int or None
        Seed of the initial weights, the order of rows and the dropout masks.
    """
    parameters = build_network.__kwdefaults__ | dict(settings)
    return Pipeline(
        [
            ("standardize", StandardScaler()),
            (
                "mlp",
                KerasClassifier(
                    model=build_network,
                    epochs=epochs,
                    batch_size=batch_size,
                    verbose=0,
                    random_state=random_state,
                    **{f"model__{name}": value for name, value in parameters.items()},
                ),
            ),
        ]
    )

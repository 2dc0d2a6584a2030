"""Score reference classifiers on the splits of a run: what the arms' accuracies compare with."""

import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

REFERENCES = {
    "majority": DummyClassifier(strategy="most_frequent"),
    "svc": make_pipeline(StandardScaler(), SVC(kernel="rbf")),
}


def score_references(X, y, splits, *, n_folds: int) -> pd.DataFrame:
    """Cross-validate the majority class and a support vector machine, one row per split.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    y : array of shape (n_samples,)
    splits : list of (train, test) index arrays
    n_folds : int
        Number of splits in a repeat.
    """
    number = pd.RangeIndex(len(splits))
    return pd.concat(
        pd.DataFrame(
            {
                "experiment": name,
                "repeat": number // n_folds + 1,
                "fold": number % n_folds + 1,
                "n_train": [len(train) for train, _ in splits],
                "n_test": [len(test) for _, test in splits],
                "accuracy": cross_validate(estimator, X, y, cv=splits)["test_score"],
            }
        )
        for name, estimator in REFERENCES.items()
    )

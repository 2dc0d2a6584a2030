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
    """Cross-validate the references, one row per split; a repeat has `n_folds` splits."""
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

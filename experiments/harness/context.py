"""Score reference classifiers on the splits of a run: what the arms' accuracies compare with."""

import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from experiments.foldstack import build_preparation
from experiments.harness.dataset import Dataset

REFERENCES = {
    "majority": DummyClassifier(strategy="most_frequent"),
    "svc": make_pipeline(StandardScaler(), SVC(kernel="rbf")),
}


def score_references(data: Dataset, splits, columns: dict) -> pd.DataFrame:
    """Cross-validate the references, one row per split, which `columns` describe."""
    frames = []
    for name, estimator in REFERENCES.items():
        if data.needs_preparation:
            estimator = make_pipeline(build_preparation(), estimator)
        scores = cross_validate(estimator, data.X, data.y, cv=splits)
        row = {"experiment": name} | columns | {"accuracy": scores["test_score"]}
        frames.append(pd.DataFrame(row))
    return pd.concat(frames)

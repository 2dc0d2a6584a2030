"""Turn columns of text and missing cells into numbers, in every fold anew."""

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

MOST_CATEGORIES = 50  # of a column; rarer ones share a feature


def build_preparation() -> ColumnTransformer:
    """Build the unfitted first step of a pipeline for data frames with text or missing cells.

    Missing numbers (NaN) become the median of the training samples, and a feature of their own
    says where. Text becomes one feature for each category, the empty text included. Of a column
    with more than 50 categories the rarest share one feature, which stands for unknown ones,
    too; elsewhere a category that the training samples do not have is zero in all features.

    Examples
    --------
    >>> pipeline = build_pipeline()
    >>> pipeline.steps.insert(0, ("prepare", build_preparation()))
    """
    numbers = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MOST_CATEGORIES,
        sparse_output=False,
    )
    return ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            ("categories", categories, make_column_selector(dtype_exclude="number")),
        ]
    )

"""The labels in the file of an exported network; read without TensorFlow."""

import io
import json
import zipfile

LABELS = "labels.json"  # a member of the .keras archive, which Keras ignores


def read_labels(content: bytes) -> dict:
    """Read class labels and feature names from the return value of `export_network`.

    Returns
    -------
    dict
        ``classes``, a list of the two class labels, and ``features``, a list of the feature
        names.

    Raises
    ------
    ValueError
        If the content was not made by `export_network`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            labels = json.loads(archive.read(LABELS))
        classes, features = list(labels["classes"]), list(labels["features"])
        if not all(isinstance(name, str) for name in (*classes, *features)):
            raise ValueError("the labels are not strings")
        if len(classes) != 2 or len(set(classes)) != 2 or not features:
            raise ValueError("two classes and at least one feature are needed")
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError("the content is not an exported network, or is corrupt") from error
    return {"classes": classes, "features": features}

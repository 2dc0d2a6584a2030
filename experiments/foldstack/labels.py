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
        ``classes``, the list of the two class labels; ``features``, that of the feature names.

    Raises
    ------
    ValueError
        If the content was not made by `export_network`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            labels = json.loads(archive.read(LABELS))
        classes, features = list(labels["classes"]), list(labels["features"])
        strings = all(isinstance(name, str) for name in (*classes, *features))
        if not strings or len(classes) != 2 or len(set(classes)) != 2 or not features:
            raise ValueError("two class labels and at least one feature name are needed")
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError("the content is not an exported network, or is corrupt") from error
    return {"classes": classes, "features": features}

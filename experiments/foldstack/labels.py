"""The labels in the file of an exported network; read without TensorFlow."""

import io
import json
import zipfile

LARGEST = 2**28  # bytes unpacked: a network of some 60 million weights
LABELS = "labels.json"  # a member of the .keras archive, which Keras ignores


def read_labels(content: bytes) -> dict:
    """Read class labels and feature names from the return value of `export_network`.

    Returns
    -------
    dict
        ``classes``, the list of class labels; ``features``, that of the feature names. If the
        network prepares its samples: ``categories``, for each feature of text the list of known
        categories.

    Raises
    ------
    ValueError
        If the content was not made by `export_network`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                raise ValueError("it unpacks to more than any network has")
            found = json.loads(archive.read(LABELS))
        labels = {name: list(found[name]) for name in ("classes", "features")}
        if "categories" in found:
            labels["categories"] = {name: list(of) for name, of in found["categories"].items()}
        known = labels.get("categories", {})
        texts = [*labels["classes"], *labels["features"], *(c for of in known.values() for c in of)]
        classes, features = labels["classes"], labels["features"]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("labels must be strings")
        "".join(texts).encode()  # half a character has no bytes
        if len(classes) < 2 or len(set(classes)) < len(classes) or not features:
            raise ValueError("two classes and at least one feature name are needed")
        if not set(known) <= set(features):
            raise ValueError("categories of features that there are not")
    except Exception as error:  # zipfile and json raise errors of many types
        raise ValueError("the content is not an exported network, or is corrupt") from error
    return labels

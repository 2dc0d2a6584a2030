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
        ``classes``, the list of class labels, or ``number``, the name of the number that the
        network predicts; ``features``, the list of the feature names. If the network prepares
        its samples: ``categories``, for each feature of text the list of known categories.

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
        if "number" in found:
            labels, names = {"number": found["number"]}, [found["number"]]
        else:
            labels = {"classes": list(found["classes"])}
            names = labels["classes"]
            if len(names) < 2 or len(set(names)) < len(names):
                raise ValueError("two classes or more are needed")
        labels["features"] = list(found["features"])
        if "categories" in found:
            labels["categories"] = {name: list(of) for name, of in found["categories"].items()}
        known = labels.get("categories", {})
        features = labels["features"]
        texts = [*names, *features, *(c for of in known.values() for c in of)]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("labels must be strings")
        "".join(texts).encode()  # half a character has no bytes
        if not features:
            raise ValueError("at least one feature name is needed")
        if not set(known) <= set(features):
            raise ValueError("categories of features that there are not")
    except Exception as error:  # zipfile and json raise errors of many types
        raise ValueError("the content is not an exported network, or is corrupt") from error
    return labels

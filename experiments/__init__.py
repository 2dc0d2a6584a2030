"""The study: one script per experiment; what they share is in `harness` and `reporting`.

The environment variables are set before TensorFlow can be imported, in worker processes too.
"""

import os

# A step of these networks is many tiny products: threads inside an operation cost more than
# they give, and their number must not change the last bit of a result.
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
# oneDNN's faster products, which TensorFlow switches on by itself on some processors only.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"

"""MNIST: 70,000 handwritten digits."""

from __future__ import annotations

import os

from .images import Remote, Sets, Source, load

SOURCE = Source(
    name="mnist",
    archive="mnist.npz",
    folders=("mnist", "MNIST/raw", "."),
    files=(Remote("mnist.npz", 11_490_434, "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),),
    mirrors=("https://storage.googleapis.com/tensorflow/tf-keras-datasets/",),
)


def load_data(path: str | os.PathLike[str] = "mnist.npz") -> Sets:
    """Load 60,000 digits to train on and 10,000 to test on, 28 x 28 pixels each.

    Looked for in this order: `path`; the folder FASTNN_DATA; the user's cache ($XDG_CACHE_HOME or ~/.cache, then
    fastnn/datasets); ~/.keras/datasets. Where it is nowhere, the 11 MB are fetched once, checked, and kept in
    FASTNN_DATA or the cache.

    Args:
        path: an .npz file with x_train (or X_train), y_train, x_test and y_test; a folder with the four IDX files,
            which may end in .gz; or the name of such a file or folder in one of those folders.

    Returns:
        (x_train, y_train), (x_test, y_test); uint8; images (n, 28, 28) in [0, 255], ink is high; labels (n,) in [0, 9].
        `x_train.reshape(-1, 784) / 255.0` is what a dense network is trained on.

    Raises:
        FileError: a damaged or foreign file, or none that can be fetched; nothing is kept of a fetch that fails.

    Source:
        Y. LeCun, C. Cortes, C. Burges: The MNIST database of handwritten digits. CC BY-SA 3.0. Address and SHA-256 are
        those that Keras publishes.
    """
    return load(SOURCE, path)

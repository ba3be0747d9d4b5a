"""Fashion-MNIST: 70,000 pictures of clothes."""

from __future__ import annotations

from .images import Remote, Sets, Source, load

SOURCE = Source(
    name="fashion_mnist",
    archive="fashion_mnist.npz",
    folders=("fashion-mnist", "FashionMNIST/raw"),
    files=(
        Remote(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        Remote(
            "train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        Remote(
            "t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        Remote("t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
)


def load_data() -> Sets:
    """Load 60,000 pictures to train on and 10,000 to test on, 28 x 28 pixels each.

    The classes: 0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 boot.
    Looked for in the folder FASTNN_DATA, in the user's cache and in ~/.keras/datasets, as fashion_mnist.npz or as a
    folder fashion-mnist with the four IDX files. Where it is nowhere, the 31 MB are fetched once, checked, and kept.

    Returns:
        (x_train, y_train), (x_test, y_test); uint8; images (n, 28, 28) in [0, 255]; labels (n,) in [0, 9].

    Raises:
        FileError: a damaged or foreign file, or none that can be fetched; nothing is kept of a fetch that fails.

    Source:
        H. Xiao, K. Rasul, R. Vollgraf (2017), arXiv:1708.07747. MIT licence. SHA-256 of the files whose MD5 its
        repository publishes.
    """
    return load(SOURCE)

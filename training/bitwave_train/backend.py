"""How TensorFlow is started: on the processor, quietly, and the same way each time."""

from __future__ import annotations

import os

# The networks are small: a second thread costs more in hand-over than it brings.
THREADS = 1


def prepare() -> None:
    """Imports TensorFlow; to be called before anything else does, or it does not come out quiet.

    The environment keeps what the user has set. oneDNN chooses its order of summing by the processor, so it is off:
    a seed gives the same model more often.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    except RuntimeError:
        pass  # TensorFlow runs already, in a program around this one: its threads stay as they are

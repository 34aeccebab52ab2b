"""Keras' LSTM layer, computed by TensorFlow's own block kernel: all steps and their gradient are two operations.

A small LSTM trained step by step spends most of its time between operations. The kernel is two to three times as fast,
and its graph does not grow with the window.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class BlockLstm(keras.layers.LSTM):  # type: ignore[misc, unused-ignore]
    """An LSTM with Keras' weights, tanh and sigmoid, that starts from zero and gives the states of every step."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """(n, steps, inputs) to (n, steps, units); Keras calls it, and neither state nor mask is taken."""
        if initial_state is not None or mask is not None:
            raise NotImplementedError("BlockLstm starts from its own states and takes whole windows")
        start = tf.zeros((tf.shape(sequences)[0], self.units))
        return self._run(sequences, start, start)[0]

    def _run(self, sequences: Any, cell: Any, hidden: Any) -> tuple[Any, Any]:
        """From a cell and a hidden state (n, units): the hidden states (n, steps, units), and the last cell."""
        kernel, recurrent, bias = self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias
        # The kernel wants (steps, n, inputs) and gates in the order input, cell, forget, output. Its second version
        # takes the order of Keras, but in TensorFlow 2.21 the gradient of that one mixes up cell and forget gate.
        sequence = tf.transpose(sequences, (1, 0, 2))
        weights = _reordered(tf.concat([kernel, recurrent], axis=0))
        unused = tf.zeros((self.units,))
        states = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.shape(sequence, out_type=tf.int64)[0],
            x=sequence,
            cs_prev=cell,
            h_prev=hidden,
            w=weights,
            wci=unused,
            wcf=unused,
            wco=unused,
            b=_reordered(tf.convert_to_tensor(bias)),
            forget_bias=0.0,
            cell_clip=0.0,
            use_peephole=False,
        )
        return tf.transpose(states.h, (1, 0, 2)), states.cs[-1]


class CarryingLstm(BlockLstm):  # type: ignore[misc, unused-ignore]
    """The same, but every call goes on where the last one ended; no gradient goes back beyond a call."""

    def build(self, shape: Any) -> None:
        """Keras calls it with (n, steps, inputs), n given."""
        super().build(shape)
        self.carried = [
            self.add_weight(shape=(shape[0], self.units), initializer="zeros", trainable=False, name=name)
            for name in ("carried_cell", "carried_hidden")
        ]

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """(n, steps, inputs) to (n, steps, units), and keeps the states after the last step."""
        cell, hidden = self.carried
        states, last = self._run(sequences, cell + 0.0, hidden + 0.0)
        cell.assign(last)
        hidden.assign(states[:, -1])
        return states

    def forget(self, which: Any = True) -> None:
        """Starts from zero again: every row, or those that (n,) bool says."""
        kept = 1.0 - tf.cast(tf.reshape(which, (-1, 1)), tf.float32)
        for state in self.carried:
            state.assign(state * kept)


def _reordered(weights: tf.Tensor) -> tf.Tensor:
    """The last axis from input, forget, cell, output to input, cell, forget, output."""
    i, f, c, o = tf.split(weights, 4, axis=-1)
    return tf.concat([i, c, f, o], axis=-1)

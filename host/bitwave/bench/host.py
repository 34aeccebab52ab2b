"""What the core takes on this machine beside `tflite-micro`'s interpreter: whole windows, side by side in one run.

Times of a shared machine mean little alone: every round times all contenders one after the other, and what counts is
the median of the rounds' ratios. One thread is timed by the processor's clock for it, several by the wall's.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..core.host import HostCore
from ..errors import BitwaveError
from ..model import image
from ..model.quantmodel import Int8Array, QuantModel
from ..tflite.build import write

ROUNDS = 15
_REFERENCE_WINDOWS = 16
_HASHED = bytes(1 << 24)
_WINDOWS = 1024  # per thread: long calls, beside which starting them takes no time


@dataclass(frozen=True)
class HostBench:
    """Medians over the rounds.

    Attributes:
        reference_us: per window, of tflite-micro's Python interpreter.
        single_us: per window, of the core when it takes windows one by one.
        batch_us: per window, of the core when it takes many at once.
        single_ratio, batch_ratio: how many times as fast as the reference, one thread each.
        threads: that the last measure used.
        threads_ratio: how many times as many windows these threads classify in the same time as one.
        machine_ratio: the same for hashing, which is known to need nothing of Python's: what the machine gives threads.
    """

    reference_us: float
    single_us: float
    batch_us: float
    single_ratio: float
    batch_ratio: float
    threads: int
    threads_ratio: float
    machine_ratio: float

    def to_json(self) -> dict[str, float]:
        """For `bitwave bench --host --json`."""
        return {name: round(value, 2) for name, value in vars(self).items()}


def measure_host(model: QuantModel, rounds: int = ROUNDS) -> HostBench:
    """Times whole windows.

    Raises:
        BitwaveError: the contenders do not agree.
        ModuleNotFoundError: tflite-micro is not installed.
    """
    runtime = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
    core, interpreter = HostCore(image.build(model)), runtime.Interpreter.from_bytes(write(model))
    shape = (_WINDOWS, model.steps, model.channels)
    windows = np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)

    def classify(windows: Int8Array) -> Int8Array:
        scores = np.empty((len(windows), core.classes), np.int8)
        for index, window in enumerate(windows):
            interpreter.reset()
            interpreter.set_input(window[None], 0)
            interpreter.invoke()
            scores[index] = interpreter.get_output(0)[0]
        return scores

    some, threads = windows[:_REFERENCE_WINDOWS], max(2, len(os.sched_getaffinity(0)))
    wanted = classify(some)
    for batched in (False, True):
        if not np.array_equal(core.classify(some, trace=False, batched=batched).scores, wanted):
            raise BitwaveError("the core and tflite-micro do not give the same scores; run `bitwave parity`")

    def batch(_: int = 0) -> object:
        return core.classify(windows, trace=False)

    def by_threads(work: Callable[[int], object]) -> object:
        return list(pool.map(work, range(threads)))

    with ThreadPoolExecutor(threads) as pool:
        found = [
            (
                _time(lambda: classify(some), len(some)),
                _time(lambda: core.classify(some, trace=False, batched=False), len(some)),
                _time(batch, len(windows)),
                _time(batch, len(windows), time.perf_counter),
                _time(lambda: by_threads(batch), threads * len(windows), time.perf_counter),
                _time(lambda: _hash(0), 1, time.perf_counter),
                _time(lambda: by_threads(_hash), threads, time.perf_counter),
            )
            for _ in range(rounds)
        ]
    reference, single, many = (statistics.median(each[kind] for each in found) for kind in range(3))
    return HostBench(
        reference_us=reference,
        single_us=single,
        batch_us=many,
        single_ratio=statistics.median(each[0] / each[1] for each in found),
        batch_ratio=statistics.median(each[0] / each[2] for each in found),
        threads=threads,
        threads_ratio=statistics.median(each[3] / each[4] for each in found),
        machine_ratio=statistics.median(each[5] / each[6] for each in found),
    )


def _hash(_: int) -> object:
    return hashlib.sha256(_HASHED)


def _time(work: Callable[[], object], windows: int, clock: Callable[[], float] = time.thread_time) -> float:
    """Microseconds per window."""
    start = clock()
    work()
    return (clock() - start) * 1e6 / windows

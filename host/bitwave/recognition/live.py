"""Recognition as it happens: events and scores off a link.

A board with a model recognises by itself. Where the link has no recognizer (a replayed recording, a board without a
model) and a model file is given, the C core on this machine takes its place, fed with the same samples. After a gap in
the samples it starts afresh: a window across a gap is none. Either resamples where the sensor has not the model's rate,
and follows the sensor's rate by the board's clock: `bitwave.recognition.rate`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from ..errors import LinkError
from ..links.link import Link, LinkEnd
from ..links.samples import Block, SampleReader, require_sensor
from ..model.metadata import Metadata, is_name, is_resampled
from ..wire.codec import Frame
from ..wire.frames import Counters, Info
from ..wire.requests import GetCounters, Recognise, Stream
from .live_report import LiveEvent as LiveEvent
from .live_report import LiveReport as LiveReport
from .live_report import Update as Update
from .recognisers import EMPTY, BoardRecogniser, Found, HostRecogniser, Recogniser, Window

RATE_TOLERANCE = 0.02  # a model hears gestures at another speed beyond this
WATCH_S = 1.0


def run(
    link: Link,
    model: Path | None = None,
    seconds: float | None = None,
    on_update: Callable[[Update], None] | None = None,
    keep_samples: bool = False,
) -> LiveReport:
    """Recognises until the link ends, the time is over or Ctrl-C.

    Args:
        link: an open link.
        model: a .tflite; needed where the board has none, checked against the board's where it has one.
        seconds: of the board's time; None for as long as it goes.
        on_update: called after every few samples.
        keep_samples: keep all samples in the result, for a picture.

    Returns:
        What happened, also after Ctrl-C.

    Raises:
        LinkError: the board vanished, has another model or scale, or nobody can recognise.
        ModelError: the model file cannot be used, or not at the board's rate.
    """
    info = link.info()
    require_sensor(link, info)
    recogniser, report = _choose(link, info, model)
    labels, model_rate_hz = report.labels, report.model_rate_hz
    if is_resampled(report.rate_hz, model_rate_hz):
        link.notice(f"samples of {report.rate_hz:g} Hz are resampled to the model's {model_rate_hz:g} Hz")
    recogniser.on_start = _Rates(link, report)
    board = recogniser if isinstance(recogniser, BoardRecogniser) else None
    reader = SampleReader(link, info.channels, board.frame if board else None)
    errors = link.errors
    if board:
        link.ask(Recognise(1))
    link.ask(Stream(1))
    watch = _Watch(link, recogniser, report.rate_hz, says_rates=board is None or info.format > 2)
    try:
        while seconds is None or report.seconds < seconds:
            for block in reader.read():
                update = _digest(report, block, recogniser, keep_samples)
                report.lost, report.crc_errors = reader.lost, link.errors - errors
                watch.look(report, reader.rate_hz)
                if on_update is not None:
                    on_update(
                        Update(
                            report.seconds,
                            labels,
                            tuple(update),
                            report.windows[-1][1] if report.windows else (),
                            reader.rate_hz,
                            report.lost,
                            report.crc_errors,
                            tuple(block.samples[-1].tolist()),
                            report.asleep if report.sleeps else None,
                            report.cycles_per_step,
                        )
                    )
    except (LinkEnd, KeyboardInterrupt):
        # A stream ends so. The last events may have come without a sample behind them.
        _add(report, *recogniser.push(EMPTY))
    finally:
        with contextlib.suppress(LinkError):
            link.ask(Stream(0))
            if board:
                link.ask(Recognise(0))
                for counters in link.ask(GetCounters(), Counters):
                    board.frame(Frame(counters))
        report.asleep, report.cycles_per_step = recogniser.asleep, recogniser.cycles_per_step
    return report


class _Rates:
    """Notes at which rate samples are recognised from where on, and says so where it is another than before."""

    def __init__(self, link: Link, report: LiveReport) -> None:
        self._link = link
        self._report = report

    def __call__(self, sample: int, rate_hz: float) -> None:
        before = self._report.rates[-1][1] if self._report.rates else self._report.rate_hz
        if not self._report.rates or rate_hz != before:
            self._report.rates.append((sample, rate_hz))
        if rate_hz != before:
            self._link.notice(f"samples come at {rate_hz:.1f} Hz, not at {before:g} Hz: resampled from there on")


class _Watch:
    """Looks once a second: at the board's counters, and after the rate where the board does not by itself."""

    def __init__(self, link: Link, recogniser: Recogniser, rate_hz: float, says_rates: bool) -> None:
        self._link = link
        self._recogniser = recogniser
        self._rate_hz = rate_hz
        self._says_rates = says_rates
        self._due_s = 0.0

    def look(self, report: LiveReport, measured_hz: float) -> None:
        """After each block."""
        report.asleep, report.cycles_per_step = self._recogniser.asleep, self._recogniser.cycles_per_step
        if report.seconds < self._due_s:
            return
        if not self._says_rates and self._due_s and abs(measured_hz / self._rate_hz - 1) > RATE_TOLERANCE:
            self._link.notice(
                f"samples come at {measured_hz:.1f} Hz, not at {self._rate_hz:g} Hz, and this firmware does not "
                "follow: it may miss gestures; bitwave flash puts a newer one on the board"
            )
            self._rate_hz = measured_hz
        if report.recogniser == "board":
            self._link.send(GetCounters())
        self._due_s = report.seconds + WATCH_S


def _digest(report: LiveReport, block: Block, recogniser: Recogniser, keep: bool) -> list[LiveEvent]:
    if not report.received:
        report.first = int(block.indices[0])
    report.received += len(block.indices)
    report.seconds = (int(block.indices[-1]) + 1 - report.first) / report.rate_hz
    if keep:
        report.blocks.append(block)
    return _add(report, *recogniser.push(block))


def _add(report: LiveReport, events: list[Found], windows: list[Window]) -> list[LiveEvent]:
    report.windows.extend(windows)
    new = [
        LiveEvent(sample, (sample - report.first) / report.rate_hz, report.labels[label], score)
        for sample, label, score in events
        if label < len(report.labels)
    ]
    report.events.extend(new)
    return new


def _choose(link: Link, info: Info, model: Path | None) -> tuple[Recogniser, LiveReport]:
    """Who recognises, and the report that begins with what is known of the model."""
    from .. import tflite
    from ..model import image

    if info.labels:
        if model is not None:
            digest = hashlib.sha256(tflite.read_bytes(model)).digest()[: len(info.digest)]
            if digest != info.digest:
                raise LinkError(
                    f"the board runs another model ({info.digest.hex()}) than {model} ({digest.hex()}): "
                    "leave --model out, or put this one on the board"
                )
        odd = [label for label in info.labels if not is_name(label)]
        if odd:  # they go to the screen, and to the commands of --run
            raise LinkError(f"{link.url}: the board's model has the label {odd[0]!r}, which no model of bitwave has")
        rate_hz, model_rate_hz = info.rate_mhz / 1000, info.model_rate_mhz / 1000
        return BoardRecogniser(), LiveReport(info.labels, "board", rate_hz, model_rate_hz, info.gate, info.stateful)
    if model is None:
        raise LinkError(f"{link.url} has no model to recognise with: give one with --model")
    quantized = tflite.read_model(model)
    if quantized.metadata is None:
        raise LinkError(f"{model} has no labels and scaling of its own: export it with --labels first")
    _check_fit(link, info, quantized.metadata)
    of, rate_hz = quantized.metadata, info.rate_mhz / 1000
    report = LiveReport(of.labels, "host", rate_hz, of.rate_hz, of.gate is not None, of.is_stateful)
    return HostRecogniser(image.build(quantized), rate_hz), report


def _check_fit(link: Link, info: Info, metadata: Metadata) -> None:
    if info.channels != len(metadata.channels):
        raise LinkError(f"{link.url} has {info.channels} channels, the model takes {len(metadata.channels)}")
    scale = (round(metadata.counts.accel_lsb_per_g * 1000), round(metadata.counts.gyro_lsb_per_dps * 1000))
    if scale != (info.accel_milli_lsb, info.gyro_milli_lsb):
        raise LinkError(f"{link.url} counts in another scale than the model was trained with")

"""``make soak``: what takes too long for the suite. Minutes, not seconds; run it on a machine that may be busy.

- `bitwave record` at 1,000 samples/s for BITWAVE_SOAK_S seconds (600) with all cores busy, clean and with faults;
- an hour of the demo stream by the demo model, the same with a motion gate, and a stateful one, on host, simulator
  and emulated Cortex-M4.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bitwave import tflite
from bitwave.recognition import events
from models import stateful, with_gate
from record_soak import check
from support import need
from test_replay import ROOT, events_of, model, recorded

SECONDS = float(os.environ.get("BITWAVE_SOAK_S", "600"))


@pytest.mark.parametrize("faults", [False, True], ids=["clean", "faults"])
def test_recording(tmp_path: Path, faults: bool, capsys: pytest.CaptureFixture[str]) -> None:
    line = check(tmp_path, SECONDS, faults, busy_cores=os.cpu_count() or 2)
    with capsys.disabled():
        print(f"\n{line}")


@pytest.mark.parametrize("kind", ["demo", "gated", "stateful"])
@pytest.mark.parametrize("engine", [name for name in events.ENGINES if name != "host"])
def test_an_hour_of_the_demo_stream(engine: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    need("unicorn", "ziglang", *(["arm-none-eabi-gcc"] if engine == "m4-gcc" else []))
    demo = tflite.read_model(ROOT / "firmware" / "lib" / "bitwave_model" / "model.tflite")
    if kind == "stateful":
        demo = with_gate(stateful(model(hidden=16), 12), 119, 11, 1000)
    elif kind == "gated":
        demo = with_gate(demo, 119, 36, 1000)
    hour = [recorded(100, f"p{number:02d}", 119.0, number) for number in range(1, 14)]
    seconds = sum(recording.duration_s for recording in hour)
    assert seconds >= 3600
    host = [events_of("host", demo, recording) for recording in hour]
    found = [events_of(engine, demo, recording) for recording in hour]
    assert events.compare(engine, host, found) is None
    with capsys.disabled():
        took = [sum(one.elapsed_s for one in told) for told in (host, found)]
        count = sum(len(one.events) for one in host)
        asleep = sum(one.slept for one in host) / sum(len(one.recording.samples) for one in host)
        ratios = f"host {seconds / took[0]:,.0f}x, {engine} {seconds / took[1]:,.0f}x"
        print(f"\n{kind}: {seconds:.0f} s, {count} events, asleep {asleep:.0%}: {ratios}")

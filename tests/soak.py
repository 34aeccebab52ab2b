"""``make soak``: what takes too long for the suite. Minutes, not seconds; run it on a machine that may be busy.

- `bitwave record` at 1,000 samples/s for BITWAVE_SOAK_S seconds (600) with all cores busy, clean and with faults;
- an hour of the demo model's stream on host, simulator and emulated Cortex-M4.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bitwave import tflite
from bitwave.recognition import events
from record_soak import check
from support import need
from test_replay import ROOT, events_of, recorded

SECONDS = float(os.environ.get("BITWAVE_SOAK_S", "600"))


@pytest.mark.parametrize("faults", [False, True], ids=["clean", "faults"])
def test_recording(tmp_path: Path, faults: bool, capsys: pytest.CaptureFixture[str]) -> None:
    line = check(tmp_path, SECONDS, faults, busy_cores=os.cpu_count() or 2)
    with capsys.disabled():
        print(f"\n{line}")


@pytest.mark.parametrize("engine", [name for name in events.ENGINES if name != "host"])
def test_an_hour_of_the_demo_stream(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    need("unicorn", "ziglang", *(["arm-none-eabi-gcc"] if engine == "m4-gcc" else []))
    demo = tflite.read_model(ROOT / "firmware" / "lib" / "bitwave_model" / "model.tflite")
    hour = [recorded(100, f"p{number:02d}", 119.0, number) for number in range(1, 14)]
    seconds = sum(recording.duration_s for recording in hour)
    assert seconds >= 3600
    host = [events_of("host", demo, recording) for recording in hour]
    found = [events_of(engine, demo, recording) for recording in hour]
    assert events.compare(engine, host, found) is None
    with capsys.disabled():
        took = [sum(one.elapsed_s for one in told) for told in (host, found)]
        count = sum(len(one.events) for one in host)
        print(f"\n{seconds:.0f} s, {count} events: host {seconds / took[0]:,.0f}x, {engine} {seconds / took[1]:,.0f}x")

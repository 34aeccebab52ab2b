"""Parity with a board behind a link: emulated, over a pseudo-terminal, over Bluetooth, over one that loses frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import models
from bitwave import links, wire
from bitwave.cli import build_app, run
from bitwave.errors import LinkError
from bitwave.links.virtual import VirtualLink
from bitwave.parity.engines.board import BoardEngine
from bitwave.parity.engines.ours import Simulator
from bitwave.parity.windows import random_windows
from bitwave.tflite import build as tflite_build
from bitwave.tflite.reader import read_model
from bitwave.wire.frames import Trace
from boards import PtyBoard
from support import need
from takes import take

DATA = tflite_build.write(
    models.random_model(11, steps=40, channels=6, hidden=(24, 7), dense=(5,), metadata=True, hop=8)
)
BRANCHES = (models.Shape(0, 3, (9,), "attention", (8, 5, 2)), models.Shape(2, 4, (6, 5), "mean", (4, 4, 3)))
FUSED = tflite_build.write(
    models.random_model(12, steps=40, channels=6, branches=BRANCHES, dense=(5,), metadata=True, hop=8)
)
MODEL = read_model(DATA)
WINDOWS = random_windows(MODEL, 3)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(DATA)
    return path


def assert_equal_to_the_simulator(link: links.Link) -> None:
    found = BoardEngine(link, DATA, MODEL).run(WINDOWS)
    wanted = Simulator(MODEL).run(WINDOWS)
    assert np.array_equal(found.scores, wanted.scores)
    for layer in range(2):
        assert np.array_equal(found.hidden[layer], wanted.hidden[layer])
        assert np.array_equal(found.cell[layer], wanted.cell[layer])


def test_layers_that_step_with_every_second_or_third_sample(tmp_path: Path) -> None:
    need("unicorn", "elftools")
    path = tmp_path / "model.tflite"
    path.write_bytes(FUSED)
    model = read_model(FUSED)
    windows = random_windows(model, 3)
    with links.open(f"emu:?model={path}") as link:
        found = BoardEngine(link, FUSED, model).run(windows)
    wanted = Simulator(model).run(windows)
    assert np.array_equal(found.scores, wanted.scores)
    for layer in range(3):
        assert np.array_equal(found.hidden[layer], wanted.hidden[layer])
        assert np.array_equal(found.cell[layer], wanted.cell[layer])


def test_the_verb_reports_the_board(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("unicorn", "elftools")
    arguments = ["parity", str(model_file), "--board", f"emu:?model={model_file}", "--windows", "4", "--json"]
    assert run(build_app(), arguments) == 0
    board = json.loads(capsys.readouterr().out)["engines"]["board"]
    assert board["mismatches"] == 0
    assert board["kinds"]["hidden"]["compared"] == board["kinds"]["cell"]["compared"] == 4 * 40 * 31
    assert board["kinds"]["scores"]["compared"] == 4 * 5


def test_over_a_serial_port(model_file: Path) -> None:
    need("unicorn", "elftools")
    from bitwave.emulator.board import EmulatedBoard
    from bitwave.links.virtual import model_image

    recording = take(samples=40_000)
    board = PtyBoard(recording, board=EmulatedBoard(model_image(model_file)))
    try:
        with links.open(f"serial:{board.port}") as link:
            assert_equal_to_the_simulator(link)
    finally:
        board.unplug()


def test_over_bluetooth(model_file: Path) -> None:
    need("unicorn", "elftools", "dbus-daemon", "dbus_fast")
    from contextlib import closing

    from bitwave.emulator.board import EmulatedBoard
    from bitwave.links.virtual import model_image
    from ble_board import BleBoard
    from fakebluez import FakeBlueZ

    with FakeBlueZ() as bluez, closing(BleBoard(bluez, EmulatedBoard(model_image(model_file)), None, mtu=65)):
        with links.open("ble:bitwave-EEFF") as link:
            assert_equal_to_the_simulator(link)


class LossyLink(VirtualLink):
    """Frames from the board pass only where `keep` says so."""

    keep: Callable[[wire.Frame], bool]

    def receive(self, timeout_s: float = 0.1) -> list[wire.Frame]:
        return [frame for frame in super().receive(timeout_s) if self.keep(frame)]


def lossy(model_file: Path, keep: Callable[[wire.Frame], bool]) -> LossyLink:
    need("unicorn", "elftools")
    link = links.open(f"emu:?model={model_file}")
    assert isinstance(link, VirtualLink)
    link.__class__ = LossyLink
    assert isinstance(link, LossyLink)
    link.keep = keep
    return link


def test_a_window_that_lost_a_frame_is_sent_again(model_file: Path) -> None:
    lost = []

    def lose_one(frame: wire.Frame) -> bool:
        if isinstance(frame.body, Trace) and frame.body.step == 17 and not lost:
            lost.append(frame)
            return False
        return True

    with lossy(model_file, lose_one) as link:
        assert_equal_to_the_simulator(link)
    assert lost


def test_a_link_that_always_loses(model_file: Path) -> None:
    with lossy(model_file, lambda frame: not isinstance(frame.body, Trace) or frame.body.step != 17) as link:
        with pytest.raises(LinkError, match="loses frames: 3 answers in a row"):
            BoardEngine(link, DATA, MODEL).run(WINDOWS)


def test_a_board_with_another_model_or_none(model_file: Path, tmp_path: Path) -> None:
    need("unicorn", "elftools")
    other = tflite_build.write(models.random_model(12, steps=40, channels=6, hidden=(4,), dense=(5,), metadata=True))
    path = tmp_path / "other.tflite"
    path.write_bytes(other)
    with links.open(f"emu:?model={path}") as link, pytest.raises(LinkError, match="send it with bitwave deploy"):
        BoardEngine(link, DATA, MODEL)
    with links.open("emu:") as link, pytest.raises(LinkError, match="has no model: send it with bitwave deploy"):
        BoardEngine(link, DATA, MODEL)


def test_a_wrong_value_on_the_board_is_a_mismatch(
    model_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need("unicorn", "elftools")
    run_one = BoardEngine.run

    def planted(self: BoardEngine, windows: np.ndarray) -> object:
        outputs = run_one(self, windows)
        outputs.cell[1][0, 20, 3] ^= 1
        return outputs

    monkeypatch.setattr(BoardEngine, "run", planted)
    assert run(build_app(), ["parity", str(model_file), "--board", f"emu:?model={model_file}", "--windows", "2"]) == 1
    assert "board: cell of layer 2, window 0, step 20, unit 3" in capsys.readouterr().err

"""Model updates: to the emulated board's flash slots, over links that lose, break and restart, and over Bluetooth."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import models
from bitwave import links, wire
from bitwave.boards import deploy as deployment
from bitwave.cli import build_app, run
from bitwave.core.host import HostCore
from bitwave.emulator import board as emulated
from bitwave.errors import ImageError, LinkError, ModelError
from bitwave.links.replay import RecordingSource
from bitwave.links.virtual import Board, VirtualLink, WristSource
from bitwave.model import image
from bitwave.model.quantmodel import QuantModel
from bitwave.synth.wrist import Wrist
from bitwave.tflite import build as tflite_build
from bitwave.tflite.reader import read_model
from bitwave.wire.frames import BUILT_IN, Info, Status, Update
from bitwave.wire.requests import UpdateChunk
from boards import OnLink, PtyBoard
from support import need
from takes import take

OLD = models.random_model(11, steps=40, channels=6, hidden=(8,), dense=(5,), metadata=True, hop=8)
NEW = models.random_model(12, steps=60, channels=6, hidden=(24,), dense=(5,), metadata=True, hop=10)
DATA = {"old": tflite_build.write(OLD), "new": tflite_build.write(NEW)}
DIGEST = {name: hashlib.sha256(data).digest()[:8] for name, data in DATA.items()}


@pytest.fixture(autouse=True)
def _needs() -> None:
    need("unicorn", "elftools")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "ANSWER_S", 0.5)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for name, data in DATA.items():
        (tmp_path / f"{name}.tflite").write_bytes(data)
    return {name: tmp_path / f"{name}.tflite" for name in DATA}


def old_board() -> emulated.EmulatedBoard:
    return emulated.EmulatedBoard(image.build(read_back("old")))


def read_back(name: str) -> QuantModel:
    return read_model(DATA[name])


class Cable(VirtualLink):
    """A link to a board that lives on when the link ends; bytes to it pass through `mangle`, frame by frame."""

    def __init__(self, board: Board, mangle: Callable[[bytes], bytes] = bytes) -> None:
        super().__init__("emu:test", board, WristSource(Wrist("p01", "s01", 0, 119.0), None), realtime=False)
        self.mangle = mangle

    def _write(self, data: bytes) -> None:
        super()._write(self.mangle(data))


def running(board: emulated.EmulatedBoard) -> Info:
    with Cable(board) as link:
        return link.info()


def test_the_verbs_over_an_emulated_board(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"emu:?model={files['old']}&flash={tmp_path / 'flash.bin'}"
    assert run(build_app(), ["deploy", str(files["new"]), url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    size = len(image.build(read_back("new")))
    assert (told["size"], told["sent"], told["began_at"]) == (size, size, 0)
    assert told["digest"] == DIGEST["new"].hex()
    assert run(build_app(), ["parity", str(files["new"]), "--board", url, "--windows", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["engines"]["board"]["mismatches"] == 0
    assert run(build_app(), ["deploy", str(files["new"]), url]) == 0
    assert "runs this model" in capsys.readouterr().err
    assert run(build_app(), ["rollback", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == DIGEST["old"].hex()
    assert run(build_app(), ["rollback", url]) == 6
    assert "there is no older model" in capsys.readouterr().err


def test_an_emulated_board_without_a_file_says_that_it_forgets(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(build_app(), ["deploy", str(files["new"]), "emu:"]) == 0
    assert "emu: forgets it with the end of this command: emu:?flash=FILE keeps it" in capsys.readouterr().err
    url = f"emu:?flash={tmp_path / 'flash.bin'}"
    for path in (files["new"], files["new"]):
        assert run(build_app(), ["deploy", str(path), url]) == 0
        assert "forgets" not in capsys.readouterr().err


def test_progress_and_the_old_model_meanwhile(files: dict[str, Path]) -> None:
    board = old_board()
    seen: list[tuple[int, bytes]] = []

    def note(received: int, size: int) -> None:
        seen.append((received, running(board).digest))

    with Cable(board) as link:
        done = deployment.deploy(link, files["new"], note)
    assert [received for received, _ in seen] == sorted({received for received, _ in seen})
    assert seen[0][0] == 0 and seen[-1][0] == done.size
    assert {digest for _, digest in seen} == {DIGEST["old"]}, "until it is whole"
    assert done.info.digest == running(board).digest == DIGEST["new"]
    board.restart()
    assert running(board).digest == DIGEST["new"], "and after a power cut"


def lose(*numbers: int) -> Callable[[bytes], bytes]:
    """Loses chunks by their number on the way; also those that are sent again count."""
    chunks = 0

    def mangle(data: bytes) -> bytes:
        nonlocal chunks
        (frame,) = wire.decode(data).frames
        if isinstance(frame.body, UpdateChunk):
            chunks += 1
            if chunks - 1 in numbers:
                return b""
        return data

    return mangle


@pytest.mark.parametrize("numbers", [(0,), (1,), (2,), (0, 1), (3, 4, 5), (0, 1, 2, 3), (2, 4, 6, 8, 10)])
def test_lost_chunks_are_sent_again(files: dict[str, Path], numbers: tuple[int, ...]) -> None:
    with Cable(old_board(), lose(*numbers)) as link:
        done = deployment.deploy(link, files["new"])
        assert done.info.digest == DIGEST["new"]
        assert done.size < done.sent < 4 * done.size


def test_answers_that_are_lost(files: dict[str, Path]) -> None:
    class Deaf(Cable):
        """Every third answer of the board is lost."""

        count = 0

        def receive(self, timeout_s: float = 0.1) -> list[wire.Frame]:
            kept = []
            for frame in super().receive(timeout_s):
                if isinstance(frame.body, Update | Status):
                    self.count += 1
                    if self.count % 3 == 0:
                        continue
                kept.append(frame)
            return kept

    with Deaf(old_board()) as link:
        assert deployment.deploy(link, files["new"]).info.digest == DIGEST["new"]


def test_a_link_that_breaks_goes_on_where_it_was(files: dict[str, Path]) -> None:
    board = old_board()

    class Breaks(Cable):
        def send(self, body: object) -> int:
            if isinstance(body, UpdateChunk) and body.offset >= 2000:
                raise LinkError("emu:test vanished; plug the board in again")
            return super().send(body)  # type: ignore[arg-type]

    with Breaks(board) as link, pytest.raises(LinkError, match="vanished"):
        deployment.deploy(link, files["new"])
    assert running(board).digest == DIGEST["old"]
    with Cable(board) as link:
        done = deployment.deploy(link, files["new"])
    assert done.began_at > 0
    assert done.sent == done.size - done.began_at
    assert done.info.digest == DIGEST["new"]


def test_a_board_that_restarts_in_the_middle_begins_again(files: dict[str, Path]) -> None:
    board = old_board()
    cut: list[int] = []

    def note(received: int, size: int) -> None:
        if received > 2000 and not cut:
            cut.append(received)
            board.restart()

    with Cable(board) as link:
        done = deployment.deploy(link, files["new"], note)
    assert cut and done.sent > done.size
    assert done.info.digest == DIGEST["new"]


def test_nothing_comes_over(files: dict[str, Path]) -> None:
    with Cable(old_board(), lose(*range(10_000))) as link:
        with pytest.raises(LinkError, match=r"0 of \d+ bytes came over, then nothing more"):
            deployment.deploy(link, files["new"])


def test_a_stranger_nearby_may_not(files: dict[str, Path]) -> None:
    board = old_board()
    with Cable(OnLink(board, emulated.BLE)) as remote:
        with pytest.raises(LinkError, match="takes no model from whoever is near: add --allow serial:PORT"):
            deployment.deploy(remote, files["new"])
        with pytest.raises(LinkError, match="the board refuses: not over this link"):
            remote.ask(deployment.UpdateBegin(100, 0, bytes(8)))
        with Cable(OnLink(board, emulated.USB)) as cable:
            done = deployment.deploy(remote, files["new"], None, cable)
    assert done.info.digest == running(board).digest == DIGEST["new"]


def test_a_model_that_the_board_refuses(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    board = old_board()
    good = deployment._image

    def with_another_answer(path: Path) -> tuple[bytes, bytes]:
        content, digest = good(path)
        for at in range(len(content) - 1, 0, -1):
            spoilt = bytearray(content)
            spoilt[at] ^= 1
            other = image.with_crc(bytes(spoilt))
            with contextlib.suppress(ImageError):
                if not HostCore(other).self_test():
                    return other, digest
        raise AssertionError

    monkeypatch.setattr(deployment, "_image", with_another_answer)
    with (
        Cable(board) as link,
        pytest.raises(LinkError, match="keeps the one before: the model does not give its known"),
    ):
        deployment.deploy(link, files["new"])
    assert running(board).digest == DIGEST["old"]


def test_files_and_boards_that_do_not_fit(files: dict[str, Path], tmp_path: Path) -> None:
    network = tmp_path / "network.tflite"
    network.write_bytes(tflite_build.write(models.random_model(3, steps=8, channels=6, hidden=(4,), dense=(3,))))
    large = tmp_path / "large.tflite"
    model = models.random_model(3, steps=8, channels=6, hidden=(200,), dense=(3,), metadata=True)
    large.write_bytes(tflite_build.write(model))
    with Cable(old_board()) as link:
        with pytest.raises(ModelError, match="has no labels and scaling"):
            deployment.deploy(link, network)
        with pytest.raises(LinkError, match=r"the image has \d+ bytes, a slot of emu:test \d+: train a smaller"):
            deployment.deploy(link, large)
    packed = image.build(model)
    with pytest.raises(LinkError, match="takes images of version 99"):
        deployment._check_fit(link, Info(abi=99), packed, False)
    for old in (image.ABI, image.ABI_OLDEST):  # an older board takes what needs no more
        with pytest.raises(LinkError, match="has no model slots"):
            deployment._check_fit(link, Info(abi=old), packed, False)
    with pytest.raises(LinkError, match="takes images of version 3, this model needs 4: bitwave flash"):
        deployment._check_fit(link, Info(abi=3), image.build(models.with_gate(model, still=8)), False)


def test_an_exported_image_will_do(files: dict[str, Path], tmp_path: Path) -> None:
    exported = tmp_path / "model.bwi"
    exported.write_bytes(image.build(read_back("new")))
    with Cable(old_board()) as link:
        assert deployment.deploy(link, exported).info.digest == DIGEST["new"]


def test_over_a_serial_port(files: dict[str, Path]) -> None:
    board = PtyBoard(take(samples=4000), board=old_board())
    try:
        with links.open(f"serial:{board.port}") as link:
            assert deployment.deploy(link, files["new"]).info.digest == DIGEST["new"]
    finally:
        board.unplug()


@pytest.fixture
def nearby() -> Iterator[tuple[emulated.EmulatedBoard, object]]:
    need("dbus-daemon", "dbus_fast")
    from ble_board import BleBoard
    from fakebluez import FakeBlueZ

    board = old_board()
    recording = take(samples=40_000)
    with FakeBlueZ() as bluez:
        remote = BleBoard(bluez, OnLink(board, emulated.BLE), RecordingSource(recording), mtu=247)
        with closing(remote):
            yield board, remote


def test_over_bluetooth_with_the_link_lost_on_the_way(
    nearby: tuple[emulated.EmulatedBoard, object], files: dict[str, Path]
) -> None:
    from bitwave.links.ble import BleLink, Patience
    from ble_board import BleBoard

    board, remote = nearby
    assert isinstance(remote, BleBoard)
    dropped: list[int] = []

    def drop(received: int, size: int) -> None:
        if received > 1000 and not dropped:
            dropped.append(received)
            remote.drop()

    patience = Patience(connect_s=5.0, lost_s=5.0, back_off_s=(0.01, 0.05))
    with BleLink("ble:bitwave-EEFF", "bitwave-EEFF", patience) as link:
        remote.in_loop(lambda: allow(board))
        done = deployment.deploy(link, files["new"], drop)
    assert dropped and link.losses == 1
    assert done.info.digest == DIGEST["new"]
    assert done.info.active != BUILT_IN


def allow(board: emulated.EmulatedBoard) -> None:
    board.receive(wire.encode(wire.Frame(deployment.AllowUpdate())), emulated.USB)


INTERVAL_S = 0.03  # a slow connection interval, with one packet in it
ERASE_S, PAGE = 0.0875, 4096  # nRF52840: t_erasepage, at most
WORD_S = 41e-6  # the same: t_write
SELF_TEST_S = 0.05  # a few steps of the known answer: more than any board needs


def flash_seconds(size: int) -> float:
    """What the board's flash takes for an image."""
    return (size // PAGE + 1) * ERASE_S + size / 4 * WORD_S + SELF_TEST_S


def test_six_kilobytes_take_less_than_the_budget(tmp_path: Path) -> None:
    need("dbus-daemon", "dbus_fast")
    from bitwave.links.ble import BleLink
    from ble_board import BleBoard
    from fakebluez import FakeBlueZ

    model = models.random_model(5, steps=60, channels=6, hidden=(33,), dense=(6,), metadata=True, hop=10)
    path = tmp_path / "six.tflite"
    path.write_bytes(tflite_build.write(model))
    size = len(image.build(read_model(path)))
    assert 6000 <= size < 8000
    board = old_board()
    answers = 0
    with FakeBlueZ() as bluez, closing(BleBoard(bluez, OnLink(board, emulated.BLE), None, mtu=247)) as remote:
        with BleLink("ble:bitwave-EEFF", "bitwave-EEFF") as link:
            remote.in_loop(lambda: allow(board))
            remote.command.writes.clear()

            def note(received: int, total: int) -> None:
                nonlocal answers
                answers += 1

            deployment.deploy(link, path, note)
        pieces = [len(piece) for piece, _ in remote.command.writes]
    questions = answers + 4  # info twice, finish, self-test
    over_ble = (len(pieces) + 2 * questions) * INTERVAL_S + flash_seconds(size)
    over_usb = sum(pieces) / 64 * 1e-3 + questions * 2e-3 + flash_seconds(size)
    assert sum(pieces) < 1.2 * size + 500, "framing costs little"
    assert over_ble <= 10, f"{over_ble:.1f} s for {size} bytes in {len(pieces)} pieces"
    assert over_usb <= 3, f"{over_usb:.1f} s"

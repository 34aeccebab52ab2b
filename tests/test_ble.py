"""The ble: link through bleak's real BlueZ backend, over a private D-Bus with a fake BlueZ."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bitwave import links
from bitwave.capture import takes as capture
from bitwave.cli import build_app, run
from bitwave.errors import LinkError
from bitwave.links.replay import RecordingSource, ReplayBoard
from bitwave.links.samples import SampleReader
from bitwave.recordings.recording import Recording, read
from bitwave.synth.wrist import Wrist
from bitwave.wire.frames import Samples, Scores
from bitwave.wire.requests import Recognise, Stream
from support import need
from takes import take

if TYPE_CHECKING:
    from bitwave.links.ble import BleLink
    from ble_board import BleBoard
    from fakebluez import FakeBlueZ

HEADER = Path(__file__).parents[1] / "firmware" / "nano33ble" / "bitwave_uuids.h"


@pytest.fixture
def bluez() -> Iterator[FakeBlueZ]:
    need("dbus-daemon", "dbus_fast")
    from fakebluez import FakeBlueZ

    with FakeBlueZ() as found:
        yield found


@pytest.fixture
def add_board(bluez: FakeBlueZ) -> Iterator[Callable[..., BleBoard]]:
    from ble_board import BleBoard

    with ExitStack() as stack:

        def add(recording: Recording | None = None, **other: object) -> BleBoard:
            recording = recording or take(samples=4000)
            source = RecordingSource(recording)
            board = BleBoard(bluez, ReplayBoard(recording), source, **other)  # type: ignore[arg-type]
            return stack.enter_context(closing(board))

        yield add


def open_link(name: str = "bitwave-EEFF", **patience: object) -> BleLink:
    from bitwave.links.ble import BleLink, Patience

    quick = {"search_s": 5.0, "settle_s": 0.1, "connect_s": 5.0, "lost_s": 5.0, "back_off_s": (0.01, 0.02, 0.05)}
    return BleLink(f"ble:{name}", name, Patience(**{**quick, **patience}))  # type: ignore[arg-type]


def test_uuids_are_those_of_the_firmware() -> None:
    from bitwave.links import ble_uuids as ble

    found = dict(re.findall(r'#define BITWAVE_(?:UUID_)?(\w+) "([^"]+)"', HEADER.read_text()))
    assert found == {
        "SERVICE": ble.SERVICE,
        "COMMAND": ble.COMMAND,
        "FRAMES": ble.FRAMES,
        "INFO": ble.INFO,
        "LAST_EVENT": ble.LAST_EVENT,
        "NAME_PREFIX": ble.NAME_PREFIX,
    }


@pytest.mark.parametrize("mtu", [23, 247, 517])
def test_frames_cross_whole_at_any_mtu(add_board: Callable[..., BleBoard], mtu: int) -> None:
    recording = take(samples=2000)
    board = add_board(recording, mtu=mtu)
    board.paused = True
    with open_link() as link:
        board.paused = False
        info = link.info()
        link.ask(Stream(1))
        reader = SampleReader(link, info.channels)
        first = reader.read()
        blocks = first
        while sum(len(block.indices) for block in blocks) < 800:
            blocks += reader.read()
        assert link.errors == 0
        assert reader.lost == 0
    indices = np.concatenate([block.indices for block in blocks])
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), recording.samples[indices])
    assert board.frames.acquired, "BlueZ gives notifications a socket of their own"
    kinds = [(kind, piece.endswith(b"\0")) for piece, kind in board.command.writes]
    assert set(kinds) <= {("command", False), ("request", True)}, "each frame's last piece is confirmed, and no other"
    assert len(kinds) > 2 and kinds[-1] == ("request", True)
    assert max(len(piece) for piece, _ in board.command.writes) <= min(mtu - 3, 244)
    assert not board.device.connected, "closing the link lets go of the board"


def test_a_board_that_refuses_the_socket_is_heard_all_the_same(add_board: Callable[..., BleBoard]) -> None:
    board = add_board()
    board.frames.refuse_acquire = True
    with open_link() as link:
        link.ask(Stream(1))
        assert SampleReader(link, 6).read()
    assert not board.frames.acquired


def test_found_by_address_and_by_service_alone(add_board: Callable[..., BleBoard], bluez: FakeBlueZ) -> None:
    bluez.add_device("11:11:11:11:11:11", "kettle", ["0000180f-0000-1000-8000-00805f9b34fb"])
    add_board()
    for name in ("", "aa:bb:cc:dd:ee:ff", "BITWAVE-eeff"):
        with open_link(name) as link:
            assert link.info().channels == 6


def test_two_boards_want_a_name(add_board: Callable[..., BleBoard]) -> None:
    add_board()
    add_board(name="bitwave-0001", address="AA:BB:CC:DD:00:01")
    with pytest.raises(LinkError, match="name one: ble:bitwave-0001, ble:bitwave-EEFF"):
        open_link("")


def test_nobody_there(add_board: Callable[..., BleBoard]) -> None:
    add_board()
    with pytest.raises(LinkError, match="ble:bitwave-9999: bitwave-9999 does not advertise"):
        open_link("bitwave-9999", search_s=0.2)


def test_without_bluetooth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need("dbus_fast")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(LinkError, match="no Bluetooth here: there is no D-Bus system bus; switch it on"):
        open_link()
    from bitwave.links.ble_search import scan

    with pytest.raises(LinkError, match="no Bluetooth here"):
        scan(0.1)


def test_scan_lists_the_strongest_first(add_board: Callable[..., BleBoard]) -> None:
    from bitwave.links.ble_search import Advertiser, scan

    add_board(rssi=-80)
    add_board(name="bitwave-0001", address="AA:BB:CC:DD:00:01", rssi=-40)
    assert scan(0.3) == [
        Advertiser("bitwave-0001", "AA:BB:CC:DD:00:01", -40),
        Advertiser("bitwave-EEFF", "AA:BB:CC:DD:EE:FF", -80),
    ]


def test_a_connection_that_fails_is_tried_again(add_board: Callable[..., BleBoard]) -> None:
    board = add_board()
    board.device.refusals = ["le-connection-abort-by-peer", "br-connection-canceled", "Input/output error"]
    with open_link() as link:
        assert link.info().channels == 6
    assert board.device.connects == 4
    assert link.losses == 0, "what never stood was not lost"


def test_a_connection_that_never_stands(add_board: Callable[..., BleBoard]) -> None:
    board = add_board()
    board.device.refusals = ["le-connection-abort-by-peer"] * 1000
    with pytest.raises(LinkError, match="out of reach: .*le-connection-abort-by-peer.*; bring the board nearer"):
        open_link(connect_s=0.2)


def test_other_firmware_with_our_service(bluez: FakeBlueZ) -> None:
    from bitwave.links import ble_uuids as ble

    device = bluez.add_device("AA:BB:CC:DD:EE:FF", "bitwave-EEFF", [ble.SERVICE])
    device.service(ble.SERVICE).characteristic(ble.FRAMES, ["notify"])
    with pytest.raises(LinkError, match="flash the bitwave firmware"):
        open_link()


def test_a_take_survives_the_loss_of_the_link(add_board: Callable[..., BleBoard], tmp_path: Path) -> None:
    recording = take(samples=4000)
    board = add_board(recording)
    told: list[str] = []
    dropped_at: list[int] = []

    def drop_once(moment: capture.Progress) -> None:
        if moment.phase == "take" and moment.elapsed_s > 0.5 and not dropped_at:
            dropped_at.append(board.sampled)
            board.drop()

    plan = capture.CapturePlan(tmp_path, "wave", "p01", count=1, seconds=8.0, count_in_s=0.0)
    with open_link() as link:
        link.notice = told.append
        report = capture.record(link, plan, drop_once)
    (kept,) = report.recordings
    assert dropped_at
    assert kept.complete
    assert kept.lost == sum(gap.lost for gap in kept.gaps) > 0, "the take says what is missing"
    assert len(kept.samples) + kept.lost == round(8.0 * 119)
    assert link.losses == 1
    assert told[0].startswith("ble:bitwave-EEFF is out of reach (the link broke)")
    assert re.fullmatch(r"ble:bitwave-EEFF is back after \d+\.\d s", told[1])
    again = read(tmp_path / "wave.p01.s01.1.csv")
    assert again.gaps == kept.gaps
    offset = int(np.flatnonzero((recording.samples == kept.samples[0]).all(axis=1))[0])
    rows = (
        offset
        + np.arange(len(kept.samples))
        + sum((np.arange(len(kept.samples)) > g.after) * g.lost for g in kept.gaps)
    )
    assert np.array_equal(kept.samples, recording.samples[rows]), "and what is there stands in its place"


def test_the_verb_tells_of_a_loss(
    add_board: Callable[..., BleBoard], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = add_board()

    def drop_once(now: BleBoard) -> None:
        if now.sampled > 600 and now.device.connected and now.device.connects == 1:
            now.on_tick = None
            asyncio.get_running_loop().create_task(now.device.drop())

    board.paused = True
    streams = board.board.receive

    def begin(piece: bytes) -> None:
        board.paused = False
        board.on_tick = board.on_tick or (drop_once if board.device.connects == 1 else None)
        streams(piece)

    board.command.on_write = begin
    arguments = ["record", "ble:", "--label", "wave", "--participant", "p01", "--out", str(tmp_path), "--count", "1"]
    assert run(build_app(), [*arguments, "--seconds", "15", "--count-in", "0", "--json"]) == 0
    told = json.loads("".join(capsys.readouterr().out))
    assert told["link_losses"] == 1
    assert told["lost"] == told["takes"][0]["lost"] > 0


def test_recognition_goes_on_after_a_loss(bluez: FakeBlueZ) -> None:
    need("unicorn", "elftools")
    import models
    from bitwave.emulator.board import BLE, EmulatedBoard
    from bitwave.links.virtual import WristSource
    from bitwave.model import image
    from ble_board import BleBoard
    from boards import OnLink

    model = models.random_model(11, steps=40, channels=6, hidden=(8,), dense=(5,), metadata=True, hop=8)
    source = WristSource(Wrist("p01", "s01", 0, 119.0), None)
    with closing(BleBoard(bluez, OnLink(EmulatedBoard(image.build(model)), BLE), source)) as board:
        with open_link() as link:
            link.ask(Recognise(1))
            while not any(isinstance(frame.body, Scores) for frame in link.receive()):
                pass
            board.drop()
            while not link.losses:
                link.receive()
            while not any(isinstance(frame.body, Scores) for frame in link.receive()):
                pass


def test_a_board_that_stays_away_ends_the_take(add_board: Callable[..., BleBoard], tmp_path: Path) -> None:
    board = add_board()

    def leave(moment: capture.Progress) -> None:
        if moment.phase == "take" and board.device.advertising:
            board.device.advertising = False
            board.drop()

    plan = capture.CapturePlan(tmp_path, "wave", "p01", count=1, seconds=8.0, count_in_s=0.0)
    with (
        open_link(lost_s=0.3) as link,
        pytest.raises(LinkError, match=r"out of reach.*of 952 samples are kept in wave"),
    ):
        capture.record(link, plan, leave)
    assert not read(tmp_path / "wave.p01.s01.1.csv").complete


def test_a_board_that_the_system_forgot_is_looked_for_again(
    add_board: Callable[..., BleBoard], bluez: FakeBlueZ
) -> None:
    board = add_board()
    with open_link() as link:
        link.ask(Stream(1))
        reader = SampleReader(link, 6)
        reader.read()
        board.drop()
        bluez.run(board.device.forget())
        while not link.losses:
            reader.read()
        assert reader.read()


def test_time_stands_still_while_the_board_is_out_of_reach(add_board: Callable[..., BleBoard]) -> None:
    board = add_board()
    with open_link() as link:
        board.device.refusals = ["le-connection-abort-by-peer"] * 5
        board.drop()
        while not link.losses:
            link.receive(0.01)
        before = link.clock()
        assert link.clock() == before
        assert link.info().channels == 6, "a question waits for the link"
        assert link.clock() > before


def test_half_a_frame_from_before_the_loss_is_dropped(add_board: Callable[..., BleBoard], bluez: FakeBlueZ) -> None:
    board = add_board()
    with open_link() as link:
        board.paused = True
        bluez.run(board.frames.notify(b"\x05\x11\x22\x33"))
        board.drop()
        board.paused = False
        assert link.info().channels == 6
        assert link.errors == 1


def test_a_closed_link_says_so(add_board: Callable[..., BleBoard]) -> None:
    add_board()
    link = open_link()
    link.close()
    link.close()
    with pytest.raises(LinkError, match="is closed"):
        link.send(Stream(1))
    with pytest.raises(LinkError, match="is closed"):
        link.receive()


def test_opened_by_url(add_board: Callable[..., BleBoard]) -> None:
    add_board()
    with links.open("ble:bitwave-EEFF") as link:
        link.ask(Stream(1))
        while not any(isinstance(frame.body, Samples) for frame in link.receive()):
            pass

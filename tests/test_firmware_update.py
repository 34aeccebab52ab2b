"""Models into the flash of the simulated board: time, lost links, power cuts, and a program too large for slots."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import firmware_world
from bitwave.boards import deploy
from bitwave.errors import LinkError
from bitwave.model import image
from bitwave.wire import frames, requests
from bitwave.wire.frames import BUILT_IN
from firmware_rig import counts
from firmware_world import Confirmed, HostEnd, SketchLink, World, board
from models import random_model
from updates import packed

LARGE = random_model(5, steps=40, channels=6, hidden=(34,), dense=(5,), metadata=True, hop=8)  # about 6 KB
SLOTS_START, PAGE = 0xE0000, 4096


@pytest.fixture(scope="module")
def sketch() -> Path:
    return firmware_world.library()


@pytest.fixture
def world(sketch: Path) -> Iterator[World]:
    with board(sketch, 1) as made:
        yield made.script(counts(2000, 1)).run(1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An image of a little over 6 KB with a digest of its own."""
    data = bytearray(image.build(LARGE))
    data[16:32] = bytes(range(16))
    (tmp_path / "new.bwi").write_bytes(image.with_crc(bytes(data)))
    assert 6000 <= len(data) <= 7500
    return tmp_path / "new.bwi"


def small(folder: Path, seed: int) -> Path:
    (folder / f"{seed}.bwi").write_bytes(packed(seed))
    return folder / f"{seed}.bwi"


def allow(world: World) -> None:
    assert world.usb.open().status(requests.AllowUpdate()) == 0


def active(end: HostEnd) -> tuple[int, bytes]:
    info = end.answer(requests.GetInfo(), frames.Info)
    return info.active, info.digest


def test_an_update_over_usb_takes_less_than_3_seconds(world: World, model: Path) -> None:
    usb = world.usb.open()
    usb.status(requests.Recognise(1))
    done = deploy.deploy(SketchLink(usb), model)
    assert done.info.active != BUILT_IN
    assert done.seconds < 3
    world.run(1)
    assert usb.answer(requests.GetCounters(), frames.Counters).lost == 0


@pytest.mark.parametrize(("interval_ms", "packets"), [(30, 1), (30, 4), (15, 6)])
@pytest.mark.parametrize("confirmed", list(Confirmed))
def test_an_update_over_bluetooth_takes_less_than_10_seconds(
    world: World, model: Path, interval_ms: float, packets: int, confirmed: Confirmed
) -> None:
    allow(world)
    ble = world.ble.connect(interval_ms=interval_ms, packets=packets)
    ble.confirmed = confirmed
    ble.ask(requests.Stream(1))
    done = deploy.deploy(SketchLink(ble), model)
    assert done.info.active != BUILT_IN
    assert done.seconds < 10
    assert done.sent == done.size  # no chunk twice
    assert world.facts.radio_dropped == 0
    assert world.usb.answer(requests.GetCounters(), frames.Counters).lost == 0


def test_an_update_at_the_smallest_mtu_is_slow_and_whole(world: World, model: Path) -> None:
    allow(world)
    done = deploy.deploy(SketchLink(world.ble.connect(mtu=23, interval_ms=30, packets=1)), model)
    assert done.info.active != BUILT_IN
    assert done.sent == done.size and done.seconds < 30


def test_a_stranger_nearby_may_not_update(world: World, model: Path) -> None:
    ble = world.ble.connect(interval_ms=15)
    with pytest.raises(LinkError, match="whoever is near"):
        deploy.deploy(SketchLink(ble), model)
    assert ble.status(requests.AllowUpdate()) == 16
    allow(world)
    world.run(61)
    with pytest.raises(LinkError, match="whoever is near"):
        deploy.deploy(SketchLink(ble), model)
    assert world.facts.flash_operations == 0


@pytest.mark.parametrize(("counts_of_y", "turning", "held"), [(-8000, 0, True), (8000, 0, False), (-8000, 400, False)])
def test_a_held_pose_allows_updates(model: Path, counts_of_y: int, turning: int, held: bool) -> None:
    """y down and at rest; y up, or turning at 24 degrees/s, is not the pose."""
    posing = firmware_world.library(defines=("-DBITWAVE_POSE_AXIS=1", "-DBITWAVE_POSE_SIGN=-1"))
    with board(posing) as world:
        world.script(np.array([[300, counts_of_y, -200, 20, -turning, 10]], np.int16)).run(4)
        ble = world.ble.connect(interval_ms=15)
        assert not ble.answer(requests.GetInfo(), frames.Info).may_update
        world.run(5)
        assert ble.answer(requests.GetInfo(), frames.Info).may_update == held


@pytest.mark.parametrize("then", ["usb", "ble"])
@pytest.mark.parametrize("lose", ["usb", "ble"])
def test_an_update_goes_on_after_a_lost_link(world: World, model: Path, lose: str, then: str) -> None:
    """The link goes in the middle; the same update goes on over the same link, found again, or over the other one."""
    content = model.read_bytes()
    begin = requests.UpdateBegin(len(content), zlib.crc32(content), content[16:24])
    allow(world)
    open_end: dict[str, Callable[[], HostEnd]] = {
        "usb": world.usb.open,
        "ble": lambda: world.ble.connect(interval_ms=15),
    }
    first = open_end[lose]()
    assert first.status(begin) == 0
    for at in range(0, 2400, 480):
        assert first.status(requests.UpdateChunk(at, content[at : at + 480], requests.UpdateChunk.ANSWER)) == 0
    if lose == "usb":
        world.usb.close()
    else:
        world.ble.disconnect()
    world.run(6)
    done = deploy.deploy(SketchLink(open_end[then]()), model)
    assert done.began_at == 2400 and done.sent == len(content) - 2400
    assert done.info.active != BUILT_IN


def test_recognition_goes_on_with_the_old_model_until_the_switch(world: World, model: Path) -> None:
    usb = world.usb.open()
    ble = world.ble.connect(interval_ms=7.5, packets=6)
    ble.ask(requests.Recognise(1))
    world.run(0.5)
    link = SketchLink(usb)
    scores: list[int] = []
    deploy.deploy(link, model, lambda done, whole: scores.append(len(ble.listen())))
    ble.listen()
    world.run(1)
    ble.listen()
    heard = [s.sample for s in ble.bodies(frames.Scores)]
    old = [s for s in ble.bodies(frames.Scores) if len(s.scores) == 4]
    new = [s for s in ble.bodies(frames.Scores) if len(s.scores) == 5]
    assert len(old) > 3 and len(new) > 3 and heard == sorted(heard)
    assert usb.answer(requests.GetCounters(), frames.Counters).lost == 0


def update_over(choose: Callable[[World], HostEnd], world: World, file: Path) -> None:
    world.usb.open()
    allow(world)
    deploy.deploy(SketchLink(choose(world)), file)


OVER: dict[str, Callable[[World], HostEnd]] = {
    "usb": lambda world: world.usb,
    "ble": lambda world: world.ble.connect(interval_ms=7.5, packets=6),
}


@pytest.mark.parametrize("over", ["usb", "ble"])
def test_a_power_cut_anywhere_leaves_a_valid_model(
    sketch: Path, tmp_path: Path, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two updates is cut during every erase and every word."""
    monkeypatch.setattr(deploy, "ANSWER_S", 0.5)
    first, second = small(tmp_path, 1), small(tmp_path, 2)
    digests = [file.read_bytes()[16:24] for file in (first, second)]
    with board(sketch) as world:
        update_over(OVER[over], world.script(counts(500, 1)).run(0.5), first)
        before, done = world.flash, world.facts.flash_operations
        deploy.deploy(SketchLink(world.usb), second)
        operations = world.facts.flash_operations - done
    assert operations > 100
    new = 0
    for cut in range(operations):
        with board(sketch, flash=before) as world:
            world.run(0.5).cut_at(cut)
            with pytest.raises(LinkError):
                update_over(OVER[over], world, second)
            assert world.facts.dead
            left = world.flash
        with board(sketch, flash=left) as world:
            usb = world.run(0.5).usb.open()
            slot, digest = active(usb)
            assert slot != BUILT_IN and digest in digests
            assert usb.status(requests.SelfTest()) == 0
            new += digest == digests[1]
            deploy.deploy(SketchLink(usb), second)
            assert active(usb)[1] == digests[1]
    assert new <= 1  # only where the last word was written whole enough to count


def test_updates_survive_a_restart_and_roll_back(sketch: Path, tmp_path: Path) -> None:
    files = [small(tmp_path, 1), small(tmp_path, 2)]
    with board(sketch) as world:
        for file in files:
            update_over(OVER["usb"], world.run(0.5), file)
        flash = world.flash
    with board(sketch, flash=flash) as world:
        usb = world.run(0.5).usb.open()
        assert active(usb)[1] == files[1].read_bytes()[16:24]
        assert usb.status(requests.Rollback()) == 0
        assert active(usb)[1] == files[0].read_bytes()[16:24]
        assert usb.status(requests.Rollback()) == 0
        assert active(usb)[0] == BUILT_IN


def test_a_program_that_reaches_the_slots_has_none(sketch: Path, model: Path) -> None:
    with board(sketch, program_end=SLOTS_START + 4) as world:
        usb = world.run(0.5).usb.open()
        with pytest.raises(LinkError, match="no model slots"):
            deploy.deploy(SketchLink(usb), model)
        assert world.facts.flash_operations == 0

"""Model slots with the power cut at every erased page and every written word: a valid model whatever happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bitwave.core.app import ALL, NOTHING, TORN, HostFlash
from bitwave.wire import requests
from bitwave.wire.frames import BUILT_IN
from updates import Host, digest_of, packed

TEARS = [(NOTHING, 0), (ALL, 0), (TORN, 1), (TORN, 2), (TORN, 3)]
PAGE = 512  # small, so that an update erases several


def make_host() -> Host:
    return Host(packed(1), flash=HostFlash(PAGE, 8))


def update(host: Host) -> int:
    return host.deploy(packed(9))


def rollback(host: Host) -> int:
    return host.status(requests.Rollback())


def rolled_back_twice(host: Host) -> None:
    for seed in (2, 3):
        assert host.deploy(packed(seed)) == 0
    assert rollback(host) == rollback(host) == 0


def half_an_update(host: Host) -> None:
    assert host.deploy(packed(2)) == 0
    host.begin(packed(3))
    host.send_chunks(packed(3)[: PAGE + 100])


# what was done before, what the power fails in, the models that may run afterwards
CASES: dict[str, tuple[Callable[[Host], object], Callable[[Host], int], set[int]]] = {
    "first update": (lambda host: None, update, {1, 9}),
    "second update": (lambda host: host.deploy(packed(2)), update, {2, 9}),
    "update over an older model": (lambda host: [host.deploy(packed(seed)) for seed in (2, 3)], update, {3, 9}),
    "update after rolling back twice": (rolled_back_twice, update, {1, 9}),
    "update after half an update": (half_an_update, update, {2, 9}),
    "rollback to the older model": (lambda host: [host.deploy(packed(seed)) for seed in (2, 3)], rollback, {2, 3}),
    "rollback to the built-in model": (lambda host: host.deploy(packed(2)), rollback, {1, 2}),
}


@pytest.mark.parametrize("tear,seed", TEARS)
@pytest.mark.parametrize("case", CASES)
def test_a_power_cut_at_every_operation_leaves_a_valid_model(case: str, tear: int, seed: int) -> None:
    prepare, act, allowed = CASES[case]
    host = make_host()
    prepare(host)
    start = host.flash.contents
    host.flash.power_on()
    host.restart()
    assert act(host) == 0
    operations = host.flash.state.operations
    after = host.info().digest
    assert operations == 1 if act is rollback else operations > len(packed(9)) // 4
    digests = {digest_of(packed(number)) for number in allowed}
    for cut in range(operations):
        host.flash.contents = start
        host.flash.power_on(cut, tear, seed * 10_000 + cut)
        host.restart()
        told = act(host)
        assert host.flash.state.off and host.flash.state.breaches == 0
        assert told != 0
        assert host.info().digest in digests  # what runs until the board notices that it has no power
        host.flash.power_on()
        host.restart()
        found = host.info()
        assert found.digest in digests, cut
        assert host.status(requests.SelfTest()) == 0
        if cut == operations - 1 and tear != TORN:
            assert (found.digest == after) == (tear == ALL)
        if cut % 5 == 0 or cut > operations - 3:
            assert host.deploy(packed(5)) == 0, "the next update goes well"
            host.restart()
            assert host.info().digest == digest_of(packed(5))
            assert host.status(requests.Rollback()) == 0
            assert host.info().digest in digests
        assert host.flash.state.breaches == 0


def test_power_cuts_one_after_the_other() -> None:
    """The cut comes a few operations later each time, on what the cut before left behind."""
    host = make_host()
    running = digest_of(packed(1))
    tears = 0
    for round_ in range(400):
        new = packed(2 + round_ % 7)
        host.flash.power_on((round_ * 37) % 290, TORN, round_)
        host.restart()
        assert host.info().digest == running
        host.deploy(new)
        tears += host.flash.state.off
        assert host.flash.state.breaches == 0
        host.flash.power_on()
        host.restart()
        assert host.info().digest in (running, digest_of(new))
        running = host.info().digest
    assert 100 < tears < 400


def test_an_update_writes_each_word_once_and_the_image_as_it_is() -> None:
    host = make_host()
    new = packed(2)
    host.deploy(new)
    assert host.flash.state.operations == len(new) // 4 + 7 + -(-(len(new) + 32) // PAGE)
    assert host.flash.contents[32 : 32 + len(new)] == new
    assert host.info().active == 0 != BUILT_IN

"""What is the matter with a board, and what to do about it: one finding per line, each with its next step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from .. import links
from ..capture.meter import BOARDS
from ..errors import LinkError
from ..links.link import Link, LinkEnd
from ..links.samples import NO_SENSOR, NO_SENSOR_STEP, SampleReader
from ..model.image import ABI, ABI_OLDEST
from ..wire.codec import Frame
from ..wire.frames import BUILT_IN, NO_FAULT, Counters, Fault, Info
from ..wire.requests import GetCounters, Stream
from ..wire.requests import SelfTest as SelfTestRequest
from ..wording import counted
from . import usb

State = Literal["ok", "note", "bad"]

RATE_TOLERANCE = 0.02  # a board's oscillator is off by less
USABLE = 0.5  # of the model's rate; what is further off cannot be resampled
LISTEN_S = 2.0
FAULT_STEPS = {  # bw_fault
    1: NO_SENSOR_STEP,
    2: "press reset; if it happens again, the sensor is broken",
    3: "bitwave deploy the model again; then bitwave flash",
}


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        check: what was looked at, in a word.
        state: "bad" needs the next step, "note" may.
        found: the facts.
        next: what to do; empty where nothing is.
    """

    check: str
    state: State
    found: str
    next: str = ""


@dataclass
class Examination:
    """All about one board, or about none.

    Attributes:
        link: URL; empty for what is about this computer.
    """

    link: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing is bad."""
        return not any(finding.state == "bad" for finding in self.findings)


def examine_usb() -> list[Examination]:
    """Every board on USB; one examination with a bad finding where there is none."""
    boards = usb.find()
    if boards:
        return [examine_port(board) for board in boards]
    step = "plug it in with a cable that carries data, not only power; then press its reset button once"
    ports = ", ".join(port for port, _ in usb.other_ports()) or "none"
    return [Examination("", [Finding("usb", "bad", f"no Nano 33 BLE; other serial ports: {ports}", step)])]


def examine_port(board: usb.UsbBoard) -> Examination:
    """A board at a port: what stands in the way of opening it, then what it says."""
    found = Examination(board.link)
    number = f", serial number {board.serial_number}" if board.serial_number else ""
    found.findings.append(Finding("usb", "ok", f"Nano 33 BLE at {board.port} ({board.kind}){number}"))
    if not usb.may_open(board.port):
        found.findings.append(_permission(board.port))
        return found
    found.findings.append(Finding("permission", "ok", "this user may open the port"))
    holders = usb.holders(board.port)
    if holders:
        names = ", ".join(f"{holder.name} (process {holder.pid})" for holder in holders)
        found.findings.append(Finding("holder", "bad", f"{names} has the port open", "close that program"))
        return found
    if board.kind == "bootloader":
        step = f"bitwave flash --port {board.port}, or press reset once to run what is on it"
        found.findings.append(Finding("firmware", "bad", "the bootloader waits for firmware", step))
        return found
    found.findings += examine_link(board.link).findings
    return found


def _permission(port: str) -> Finding:
    group = usb.group_of(port)
    step = f"sudo usermod -aG {group} $USER, then log out and in again" if group else "ask whoever runs this computer"
    return Finding("permission", "bad", "this user may not open the port", step)


def examine_link(url: str, open_link: Callable[[str], Link] = links.open) -> Examination:
    """Opens a link and asks the board; every fault is a finding."""
    found = Examination(url)
    step = "bitwave ports lists what is there" if url.startswith("serial:") else ""
    try:
        with open_link(url) as link:
            step = "bitwave flash puts the bitwave firmware on it" if url.startswith("serial:") else ""
            for finding in _ask(link):
                found.findings.append(finding)
    except LinkError as error:
        found.findings.append(Finding("link", "bad", str(error), step))
    return found


def examine(url: str) -> Examination:
    """One board by its link; at a port of USB also what stands in the way of opening it."""
    board = next((board for board in usb.find() if board.link == url), None)
    return examine_link(url) if board is None else examine_port(board)


def _ask(link: Link) -> Iterator[Finding]:
    info = link.info()
    yield _firmware(info)
    yield _model(info)
    if info.labels:
        yield _self_test(link)
    yield from _listen(link, info)
    yield from _counters(link)


def _firmware(info: Info) -> Finding:
    version = ".".join(map(str, info.firmware))
    text = f"{BOARDS.get(info.board, 'unknown board')}, firmware {version}, image version {info.abi}"
    if ABI_OLDEST <= info.abi < ABI:
        return Finding("firmware", "note", f"{text}; some models need version {ABI}", "bitwave flash")
    if info.abi != ABI:
        newer = "update bitwave on this computer" if info.abi > ABI else "bitwave flash"
        return Finding("firmware", "bad", f"{text}; this bitwave makes version {ABI}", newer)
    return Finding("firmware", "ok", text)


def _model(info: Info) -> Finding:
    if not info.labels:
        return Finding(
            "model", "note", "none: the board streams and cannot recognise", "bitwave deploy MODEL.tflite LINK"
        )
    where = "built in" if info.active == BUILT_IN else f"in slot {info.active}"
    names = ", ".join(info.labels)
    traits = "".join(f", {trait}" for trait in info.traits)
    return Finding("model", "ok", f"{info.digest.hex()} {where}, {info.model_rate_mhz / 1000:g} Hz{traits}: {names}")


def _self_test(link: Link) -> Finding:
    try:
        link.ask(SelfTestRequest())
    except LinkError as error:
        return Finding("self-test", "bad", str(error), "bitwave deploy the model again; then bitwave flash")
    return Finding("self-test", "ok", "the model gives its known answer")


def _listen(link: Link, info: Info) -> Iterator[Finding]:
    faults: list[Fault] = []

    def note(frame: Frame) -> None:
        if isinstance(frame.body, Fault):
            faults.append(frame.body)

    if not info.rate_mhz:
        yield Finding("sensor", "bad", NO_SENSOR, NO_SENSOR_STEP)
        return
    reader = SampleReader(link, info.channels, note)
    errors = link.errors
    trouble = ""
    try:
        link.ask(Stream(1))
        came, seconds = _count(link, reader)
        link.ask(Stream(0))
    except LinkEnd:
        return
    except LinkError as error:
        trouble = str(error)
    for fault in faults:
        if fault.code != NO_FAULT:
            yield Finding("fault", "bad", fault.text, FAULT_STEPS.get(fault.code, "press reset; then bitwave flash"))
    if trouble:
        yield Finding("rate", "bad", trouble, "press reset; if it stays, the sensor is broken or not this board's")
        return
    nominal = info.rate_mhz / 1000
    errors_told = counted(link.errors - errors, "CRC error")
    lost = f"{counted(came, 'sample')} in {seconds:.1f} s, {reader.lost} lost, {errors_told}"
    measured = reader.rate_hz
    if abs(measured / nominal - 1) > RATE_TOLERANCE:
        yield _other_rate(info, measured, lost)
    elif reader.lost or link.errors > errors:
        yield Finding("rate", "bad", f"{measured:.2f} Hz; {lost}", "use another cable or port, or come nearer")
    else:
        yield Finding("rate", "ok", f"{measured:.2f} Hz; {lost}")


def _other_rate(info: Info, measured: float, lost: str) -> Finding:
    """The sensor's clock is not what its maker says; since format 3 of INFO the board follows it."""
    text = f"{measured:.2f} Hz instead of {info.rate_mhz / 1000:g} Hz"
    wanted = (info.model_rate_mhz or info.rate_mhz) / 1000
    if abs(measured / wanted - 1) > USABLE:
        step = "press reset; if it stays, the sensor is broken"
        return Finding("rate", "bad", f"{text}, too far off to recognise; {lost}", step)
    if info.format < 3:
        return Finding("rate", "bad", f"{text}; {lost}", "press reset; bitwave flash")
    return Finding("rate", "note", f"{text}, which recognition follows; {lost}")


def _count(link: Link, reader: SampleReader) -> tuple[int, float]:
    came = 0
    start = link.clock()
    while link.clock() < start + LISTEN_S:
        came += sum(len(block.indices) for block in reader.read())
    return came, link.clock() - start


def _counters(link: Link) -> Iterator[Finding]:
    try:
        answers = link.ask(GetCounters(), Counters)
    except LinkEnd:
        return
    except LinkError as error:
        yield Finding("counters", "note", str(error), "bitwave flash")
        return
    for counters in answers:
        if not isinstance(counters, Counters):
            continue
        text = (
            f"since start {counted(counters.samples, 'sample')}, {counters.lost} lost, "
            f"{counted(counters.dropped_frames, 'frame')} dropped, "
            f"{counters.crc_errors} CRC errors; longest loop {_measured(counters.longest_loop_us, ' us')}, "
            f"cycles per step {_measured(counters.cycles_per_step)}, stack "
            f"{_share(counters.stack_used, counters.stack_bytes)}, arena "
            f"{_share(counters.arena_used, counters.arena_bytes)}{_asleep(counters)}"
        )
        step = "the board was too busy: fewer lanes (a longer hop), or a smaller model" if counters.lost else ""
        yield Finding("counters", "note" if counters.lost else "ok", text, step)


def _measured(value: int, unit: str = "") -> str:
    return f"{value}{unit}" if value else "unmeasured"


def _asleep(counters: Counters) -> str:
    return f", asleep {counters.asleep:.0%} of the time" if counters.slept else ""


def _share(used: int, size: int) -> str:
    return f"{used} of {size} bytes" if used else "unmeasured"

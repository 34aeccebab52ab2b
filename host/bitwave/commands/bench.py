"""`bitwave bench`: what the core costs on a Cortex-M4, beside what others take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from ..bench.footprint import Footprint
    from ..bench.steps import Bench
    from ..model.quantmodel import QuantModel


def bench(
    model: Annotated[
        Path | None, typer.Argument(help="A .tflite file; without one, a grid of sizes.", show_default=False)
    ] = None,
    architectures: Annotated[
        bool, typer.Option("--architectures", help="Recognizers with convolution, pooling, two layers, branches.")
    ] = False,
    host: Annotated[
        bool, typer.Option("--host", help="This machine instead: the core beside tflite-micro, whole windows.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the tables.")] = False,
) -> None:
    """Cycles per step, code, RAM and stack on an emulated Cortex-M4, and the figures of other libraries."""
    if host:
        _bench_host(model, json)
        return
    from rich.console import Console
    from rich.progress import track

    from .. import native
    from ..bench.footprint import footprint
    from ..bench.grid import GRID_HIDDEN, GRID_INPUTS, grid_model
    from ..bench.steps import measure
    from ..tflite.reader import read_model

    if architectures:
        _architectures(json)
        return
    if model is not None:
        models = [read_model(model)]
    else:
        models = [grid_model(inputs, hidden) for inputs in GRID_INPUTS for hidden in GRID_HIDDEN]
    compilers = native.m4_compilers()
    console = Console(stderr=True)
    shown = track(models, "counting", console=console, transient=True, disable=not console.is_terminal)
    done = [(each, measure(each, compilers, ("dsp", "portable"))) for each in shown]
    # the grid's memory is that of the size that the peers are measured by
    memory = footprint(models[0] if model is not None else grid_model(6, 24), compilers[-1])
    if json:
        import json as codec

        rows = [row.to_json() for _, found in done for row in found.rows]
        document = {"rows": rows, "footprint": memory.to_json() if memory else None}
        typer.echo(codec.dumps(document))
        return
    out = Console()
    for each, found in done:
        _print_rows(out, each, found)
    if memory is not None:
        _print_footprint(out, memory)
    _print_peers(out)


def _architectures(json: bool) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from .. import native
    from ..bench.architectures import ARCHITECTURES, CHANNELS, HOP, WINDOW, measure_architectures
    from ..bench.steps import CLOCK_HZ

    compiler = native.m4_compilers()[-1]
    console = Console(stderr=True)
    shown = track(
        measure_architectures(compiler), "counting", len(ARCHITECTURES), console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip
    found = list(shown)
    if json:
        import json as codec

        typer.echo(codec.dumps({"compiler": compiler, "architectures": [each.to_json() for each in found]}))
        return
    out = Console()
    out.print(
        f"{CHANNELS} channels, windows of {WINDOW} samples, one every {HOP}, {compiler}. Cycles are the mean over "
        f"samples, front end to decision; the dearest sample ends a window; load is of {CLOCK_HZ // 10**6} MHz.",
        highlight=False,
    )
    table = Table(box=SIMPLE)
    table.add_column("architecture")
    for heading in ("cycles", "dearest", "load", "image", "arena"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        table.add_row(
            each.architecture.words, f"{each.cost.cycles:,.0f}", f"{each.cost.dearest:,}", f"{each.load:.2%}",
            f"{each.image_bytes:,}", f"{each.arena_bytes:,}",
        )  # fmt: skip
    out.print(table)


def _bench_host(path: Path | None, json: bool) -> None:
    from ..bench.grid import grid_model
    from ..bench.host import ROUNDS, measure_host
    from ..tflite.reader import read_model

    found = measure_host(read_model(path) if path is not None else grid_model(6, 24))
    if json:
        import json as codec

        typer.echo(codec.dumps(found.to_json()))
        return
    for line in (
        f"whole windows on one thread, medians of {ROUNDS} interleaved rounds:",
        f"  tflite-micro      {found.reference_us:8.1f} us a window",
        f"  core, one by one  {found.single_us:8.1f} us   {found.single_ratio:5.1f} times as fast",
        f"  core, many        {found.batch_us:8.1f} us   {found.batch_ratio:5.1f} times as fast",
        f"{found.threads} threads classify {found.threads_ratio:.2f} times as many in the same time as one; the "
        f"machine lets them hash {found.machine_ratio:.2f} times as much.",
    ):
        typer.echo(line)


def _print_rows(out: Console, model: QuantModel, found: Bench) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    from ..bench.steps import CLOCK_HZ, UNCERTAINTY

    hidden = " and ".join(str(layer.hidden) for layer in model.lstm)
    out.print(
        f"{model.channels} inputs, {hidden} hidden. Instructions and cycles per step and lane, cycles "
        f"±{UNCERTAINTY * 100:.0f} %; ms and load of {CLOCK_HZ // 10**6} MHz for all lanes.",
        highlight=False,
    )
    table = Table(box=SIMPLE)
    for heading in ("build", "kernels", "lanes", "instr.", "cycles", "ms", "load"):
        table.add_column(heading, justify="left" if heading in ("build", "kernels") else "right", no_wrap=True)
    table.add_column("most of it")
    for row in found.rows:
        most = ", ".join(f"{_short(name)} {part:.0%}" for name, part in row.share[:2])
        table.add_row(
            row.compiler, row.kernels, str(row.lanes), f"{row.instructions_per_step:,}", f"{row.cycles_per_step:,}",
            f"{row.milliseconds:.3f}", f"{row.load:.2%}", most,
        )  # fmt: skip
    out.print(table)
    for index, reason in enumerate(found.why_plain):
        meets = "Cortex-M4 DSP kernels, because its weights could be packed: it meets all of their conditions"
        chosen = meets if reason is None else f"portable kernels, because {reason}"
        out.print(f"LSTM layer {index + 1}: {chosen}", highlight=False)


def _print_footprint(out: Console, memory: Footprint) -> None:
    core = memory.code_bytes + memory.constant_bytes
    lines = [
        f"flash: core {core:,} B (code {memory.code_bytes:,}, constants {memory.constant_bytes:,}), kernel for two "
        f"lanes {memory.lanes_code_bytes:,} B more; with all kinds of layers {memory.whole_code_bytes:,} B of code",
        f"image: {memory.image_bytes:,} B, {memory.image_bytes / memory.raw_bytes:.2f} of weights, biases and labels",
        f"RAM: arena {memory.arena_bytes:,} B, stack of bw_recognizer_push {memory.stack_bytes:,} B",
        f"dearest sample that ends a window, head included, of several inputs: {memory.window_cycles:,} cycles; "
        f"{memory.window_cycles_one_lane:,} with one lane",
    ]
    if memory.asleep_cycles:
        lines.append(
            f"motion gate: {memory.asleep_cycles:,} cycles for a sample that is slept through, "
            f"{memory.waking_cycles:,} for the one that wakes, with what was kept of the sleep"
        )
    for line in lines:
        out.print(line, highlight=False)


def _short(function: str) -> str:
    for prefix in ("bw_", "dsp_", "packed_"):
        function = function.removeprefix(prefix)
    return function


def _print_peers(out: Console) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    from ..bench.peers import PEERS, PEERS_NOTE

    sizes = list(PEERS[0].cycles)
    out.print("Others, cycles per step by the same cost model, gcc 12.2; inputs × hidden:", highlight=False)
    table = Table(box=SIMPLE)
    table.add_column("library")
    for inputs, hidden in sizes:
        table.add_column(f"{inputs} × {hidden}", justify="right", no_wrap=True)
    for peer in PEERS:
        table.add_row(peer.name, *(f"{peer.cycles[size]:,}" if size in peer.cycles else "" for size in sizes))
    out.print(table)
    out.print(PEERS_NOTE, highlight=False)

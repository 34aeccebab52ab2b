"""`bitwave import`: recordings of other tools become a bitwave data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..exchange.importer import ImportReport


def import_(
    source: Annotated[Path, typer.Argument(help="Folder of CSV files, or the wheel of seglearn 1.2.5.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; made where missing.")],
    rate: Annotated[float, typer.Option(help="Sample rate in Hz, which CSV files do not carry (LSM9DS1: 119).")] = 0.0,
    columns: Annotated[str, typer.Option(help="Columns of ax,ay,az[,gx,gy,gz]; without: Arduino's IMU_Capture.")] = "",
    accel_unit: Annotated[str, typer.Option(help="With --columns: g, mg or m/s2; files do not say it.")] = "",
    gyro_unit: Annotated[str, typer.Option(help="With six --columns: dps, mdps or rad/s.")] = "",
    axes: Annotated[
        str, typer.Option(help="With --columns: the file's axes that are canonical x,y,z, like y,-x,z.")
    ] = "x,y,z",
    accel_lsb: Annotated[float, typer.Option(help="Counts of 1 g; 4096 reaches 8 g.")] = 8192.0,
    gyro_lsb: Annotated[float, typer.Option(help="Counts of 1 degree/s.")] = 16.384,
    segments: Annotated[Path | None, typer.Option(help="CSV of takes: file,label,start,end[,participant].")] = None,
    streams: Annotated[
        bool, typer.Option("--streams", help="With --segments: whole files, as continuous recordings with segments.")
    ] = False,
    window: Annotated[int | None, typer.Option(min=1, help="Samples about each segment's middle.")] = None,
    slice_: Annotated[int | None, typer.Option("--slice", min=1, help="Cut streams into takes this long.")] = None,
    slice_hop: Annotated[int | None, typer.Option(min=1, help="Samples between slices; default: one slice.")] = None,
    average: Annotated[int, typer.Option(min=1, help="Average this many samples into one, for a lower rate.")] = 1,
    participant: Annotated[str, typer.Option(help="Pseudonym of the person, like p01.")] = "p01",
    session: Annotated[str, typer.Option(help="Name of the session, like s01.")] = "s01",
    board: Annotated[str, typer.Option(help="Which board it was, kept in the session file.")] = "unknown",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Import recordings: Arduino's capture format (g and degree/s), or any CSV by its columns and units."""
    from ..errors import RecordingError, UsageError
    from ..exchange.columns import Units, averaged, segmented, sliced, whole_files
    from ..exchange.columns import segments as of_table
    from ..exchange.importer import import_folder
    from ..exchange.seglearn import RATE_HZ, read_watch
    from ..exchange.stream_importer import import_continuous, import_streams
    from ..model.metadata import CountsScale

    if not source.exists():
        raise RecordingError(f"{source} is not there: give the folder of CSV files, or the wheel of seglearn")
    watch = source.suffix in (".whl", ".npy")
    if not watch and not rate:
        raise UsageError("--rate is missing: CSV files do not carry it (119 for an LSM9DS1)")
    slices = (slice_, slice_hop or slice_) if slice_ else None
    if not watch and not columns:
        if segments or streams or window or slices or average != 1:
            raise UsageError("--segments, --streams, --window, --slice and --average go with --columns")
        report = import_folder(source, out, rate_hz=rate, participant=participant, session=session, board=board)
        _show(report, rate, out, as_json)
        return
    if not (0 < accel_lsb <= 65535 and 0 < gyro_lsb <= 65):
        raise UsageError("--accel-lsb is above 0 and at most 65535, --gyro-lsb above 0 and at most 65")
    names = [name.strip() for name in columns.split(",")]
    if not watch and len(names) not in (3, 6):
        raise UsageError(f"--columns names {len(names)}: 3 of acceleration, or 3 and 3 of angular rate")
    if segments and slices:
        raise UsageError("--segments and --slice exclude each other: choose one")
    units = Units(accel_unit, gyro_unit, axes)
    if not watch:
        units.check(len(names))
    facts: dict[str, Any] = {
        "session": session,
        "counts": CountsScale(accel_lsb_per_g=accel_lsb, gyro_lsb_per_dps=gyro_lsb),
        "board": board,
        "note": f"imported from {source.name}; times are even by the rate",
    }
    if streams:
        if segments is None or watch or window or average != 1:
            raise UsageError("--streams goes with --columns and --segments, and takes whole files as they are")
        files = segmented(source, segments, names, units, participant)
        _show(import_continuous(files, out, rate_hz=rate, **facts), rate, out, as_json)
        return
    if watch:
        takes, rate = sliced(averaged(read_watch(source), average), slices), (rate or RATE_HZ) / average
    elif segments:
        takes = averaged(of_table(source, segments, names, units, window, participant), average)
        rate /= average
    else:
        whole = whole_files(source, names, units, participant, None)
        takes, rate = sliced(averaged(whole, average), slices), rate / average
    _show(import_streams(takes, out, rate_hz=rate, **facts), rate, out, as_json)


def _show(report: ImportReport, rate: float, out: Path, as_json: bool) -> None:
    import json

    from rich.console import Console
    from rich.table import Table

    from ..wording import counted

    if as_json:
        typer.echo(json.dumps(asdict(report)))
        return
    table = Table("label", "recordings", "clipped samples")
    for label, count in report.recordings.items():
        table.add_row(label, str(count), str(report.clipped.get(label, 0)))
    console = Console(markup=False)  # a path may hold brackets
    console.print(table)
    recordings = counted(sum(report.recordings.values()), "recording")
    console.print(f"{recordings}, {counted(report.samples, 'sample')} at {rate:g} Hz in {out}")

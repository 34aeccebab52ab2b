"""Recordings from and to other tools: round trips to the count, units and axes that are told, signatures that hold."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitwave.commands.exchange import exchange as verb
from bitwave.errors import RecordingError, UsageError
from bitwave.exchange import acquisition, importer
from bitwave.exchange import formats as exchange
from bitwave.exchange.acquisition import Acquisition, Sensor
from bitwave.exchange.physical import Told, canonical, rotation
from bitwave.recordings import dataset
from bitwave.recordings.recording import Recording, even_times
from bitwave.recordings.session import Gap
from takes import store, take

KEY = "fed53116f20684c067774ebf9e7bcbdc"


def gentle(label: str = "wave", **other: object) -> Recording:
    """A take near 1 g, so that its unit can be checked."""
    made = take(label, **other)  # type: ignore[arg-type]
    made.samples[:, :3] //= 16
    made.samples[:, 2] += 8192
    return made


def document(
    values: object = ((9.8, 0.1, 0.2), (9.7, 0.2, 0.1)),
    units: str = "m/s2",
    key: str | None = None,
    names: tuple[str, ...] = ("accX", "accY", "accZ"),
    **payload: object,
) -> dict[str, object]:
    return {
        "protected": {"ver": "v1", "alg": "HS256" if key else "none", "iat": 1564128599},
        "signature": "0" * 64,
        "payload": {
            "device_name": "ac:87:a3:0a:2d:1b", "device_type": "DISCO-L475VG-IOT01A", "interval_ms": 10,
            "sensors": [{"name": name, "units": units} for name in names], "values": values,
        } | payload,
    }  # fmt: skip


def signed(made: dict[str, object], key: str, indent: int | None = None) -> bytes:
    """As the format's documentation does it: sign with the zeros in place, put the signature in, encode again."""
    digest = hmac.new(key.encode(), json.dumps(made, indent=indent).encode(), hashlib.sha256).hexdigest()
    return json.dumps(made | {"signature": digest}, indent=indent).encode()


def save(path: Path, made: dict[str, object] | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made if isinstance(made, bytes) else json.dumps(made).encode())
    return path


def bring(source: Path, out: Path, told: Told | None = None, key: str | None = None) -> Recording:
    exchange.import_edge_impulse(source, out, told or Told(), "p07", "s01", key)
    (found,) = dataset.load(out).recordings
    return found


# Round trips


@pytest.mark.parametrize("form", ["edge-impulse-json", "edge-impulse-cbor", "edge-impulse-csv"])
@pytest.mark.parametrize("key", [None, KEY])
def test_an_export_that_is_imported_has_the_same_counts(tmp_path: Path, form: exchange.Format, key: str | None) -> None:
    store(tmp_path / "data", gentle(), gentle(number=2), gentle("idle", participant="p02", session="s02"))
    data = dataset.load(tmp_path / "data")
    if form == "edge-impulse-csv" and key:
        with pytest.raises(UsageError, match="is not signed"):
            exchange.export(data, tmp_path / "out", form, key)
        return
    exported = exchange.export(data, tmp_path / "out", form, key)
    assert len(exported.files) == 3 and exported.left_out == {}
    assert exported.files[1].startswith("wave.p01-s01-1.")
    told = Told("m/s2", "dps") if form == "edge-impulse-csv" else Told()
    back = exchange.import_edge_impulse(tmp_path / "out", tmp_path / "back", told, "p09", "s01", key)
    assert back.trust == {"verified" if key else "not signed": 3} and back.recordings == {"idle": 1, "wave": 2}
    assert back.rate_hz == 119.0
    for ours, theirs in zip(data.recordings, dataset.load(tmp_path / "back").recordings, strict=True):
        assert np.array_equal(ours.samples, theirs.samples) and ours.label == theirs.label


@given(counts=st.lists(st.integers(-32768, 32767), min_size=6, max_size=60), form=st.sampled_from(["json", "cbor"]))
def test_every_count_survives(counts: list[int], form: acquisition.Encoding) -> None:
    samples = np.array(counts[: len(counts) // 6 * 6], np.int16).reshape(-1, 6)
    made = Recording("wave", "p01", "s01", 1, even_times(len(samples), 119.0), samples, 119.0)
    found = acquisition.parse(acquisition.build(exchange._document(made), form))
    names, units = [s.name for s in found.sensors], [s.units for s in found.sensors]
    values = canonical(names, units, found.values, Told(has_gravity=False))
    assert np.array_equal(importer.to_counts(values, made.counts)[0], samples)


def test_arduino_out_and_in_again(tmp_path: Path) -> None:
    store(tmp_path / "data", gentle(), gentle(number=2), gentle(number=3, samples=49), gentle("idle"))
    data = dataset.load(tmp_path / "data")
    exported = exchange.export(data, tmp_path / "out", "arduino")
    assert exported.files == ("wave.csv", "idle.csv") and list(exported.left_out) == ["wave.p01.s01.3"]
    importer.import_folder(tmp_path / "out", tmp_path / "back", rate_hz=119.0, participant="p01", session="s01")
    for theirs in dataset.load(tmp_path / "back").recordings:
        (ours,) = [one for one in data.recordings if one.name == theirs.name]
        assert np.array_equal(ours.samples, theirs.samples)


def test_npz_holds_everything(tmp_path: Path) -> None:
    store(tmp_path / "data", gentle(), gentle("idle", participant="p02", samples=20))
    data = dataset.load(tmp_path / "data")
    exchange.export(data, tmp_path / "out", "npz")
    found = np.load(tmp_path / "out" / "dataset.npz", allow_pickle=False)
    assert exchange.npz(data) == (tmp_path / "out" / "dataset.npz").read_bytes()
    assert found["first"].tolist() == [0, 20, 70] and found["label"].tolist() == ["idle", "wave"]
    for index, made in enumerate(data.recordings):
        rows = slice(*found["first"][index : index + 2])
        assert np.array_equal(found["samples"][rows], made.samples)
        assert np.array_equal(found["time_us"][rows], made.time_us)
    assert (float(found["rate_hz"]), float(found["accel_lsb_per_g"])) == (119.0, 8192.0)


def test_gaps_stay_in_a_csv_and_out_of_documents(tmp_path: Path) -> None:
    made = gentle(samples=60)
    rows = np.r_[0:20, 24:60]
    gappy = Recording(
        "wave", "p01", "s01", 1, made.time_us[rows], made.samples[rows], 119.0, gaps=(Gap(after=19, lost=4),)
    )
    store(tmp_path / "data", gappy)
    data = dataset.load(tmp_path / "data", "keep")
    assert exchange.export(data, tmp_path / "json", "edge-impulse-json").left_out == {
        "wave.p01.s01.1": "4 samples are missing, and the format has one interval"
    }
    exchange.export(data, tmp_path / "csv", "edge-impulse-csv")
    exchange.import_edge_impulse(tmp_path / "csv", tmp_path / "back", Told("m/s2", "dps"), "p01", "s01")
    (found,) = dataset.load(tmp_path / "back", "keep").recordings
    assert found.gaps == gappy.gaps and np.array_equal(found.samples, gappy.samples)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    store(tmp_path, gentle())
    with pytest.raises(UsageError, match="nothing is overwritten"):
        exchange.export(dataset.load(tmp_path), tmp_path, "npz")


# Signatures


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n"])
def test_a_signature_is_checked_on_the_bytes_that_came(indent: int | None, tail: bytes) -> None:
    data = signed(document(key=KEY), KEY, indent) + tail
    assert acquisition.parse(data, KEY).trust == "verified"
    assert acquisition.parse(data).trust == "not checked"
    with pytest.raises(RecordingError, match="the signature is wrong"):
        acquisition.parse(data, KEY[::-1])
    with pytest.raises(RecordingError, match="the signature is wrong"):
        acquisition.parse(data.replace(b"9.8", b"9.9"), KEY)


def test_every_changed_byte_of_a_signed_document_is_noticed() -> None:
    data = acquisition.build(Acquisition(10.0, (Sensor(name="accX", units="g"),), np.array([[1.0]])), "cbor", KEY)
    assert acquisition.parse(data, KEY).trust == "verified"
    for at in range(len(data)):
        with pytest.raises(RecordingError):
            acquisition.parse(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], KEY)


def test_a_key_does_not_take_what_is_not_signed(tmp_path: Path) -> None:
    plain = json.dumps(document()).encode()
    assert acquisition.parse(plain).trust == "not signed"
    with pytest.raises(RecordingError, match="is not signed"):
        acquisition.parse(plain, KEY)
    forged = document(key=KEY)
    forged["signature"] = "ab" * 32
    twice = json.dumps(forged | {"note": "ab" * 32}).encode()
    with pytest.raises(RecordingError, match="stand in the document once"):
        acquisition.parse(twice, KEY)
    csv = save(tmp_path / "wave.1.csv", b"timestamp,accX,accY,accZ\n0,0,0,1\n10,0,0,1\n")
    with pytest.raises(RecordingError, match="a CSV is not signed"):
        bring(csv, tmp_path / "out", Told("g"), KEY)


def test_streams_of_unknown_length_and_half_floats_are_read() -> None:
    # As firmware writes it while it samples: an indefinite array of half floats.
    half = b"\xf9\x3c\x00"
    row = b"\x83" + b"\xf9\x00\x00" * 2 + half
    whole = cbor2.dumps(document(values=["x"]))
    at = whole.index(b"\x66values") + 7
    data = whole[:at] + b"\x9f" + row * 3 + b"\xff"
    assert acquisition.parse(data).values.tolist() == [[0.0, 0.0, 1.0]] * 3


FAULTS: dict[str, tuple[dict[str, object] | bytes, str]] = {
    "nothing": (b"", "neither JSON nor CBOR|no acquisition"),
    "text": (b"hello", "neither JSON nor CBOR|no acquisition"),
    "cut": (json.dumps(document()).encode()[:-9], "neither JSON nor CBOR"),
    "version": (document() | {"protected": {"ver": "v2", "alg": "none"}}, "protected.ver"),
    "algorithm": (document() | {"protected": {"ver": "v1", "alg": "RS256"}}, "protected.alg"),
    "interval": (document(interval_ms=0), "payload.interval_ms"),
    "ragged": (document(values=[[1, 2, 3], [1, 2]]), "values, row 2: 2 numbers for 3 sensors"),
    "text in it": (document(values=[[1, 2, "3"]]), "values, row 1"),
    "truth in it": (document(values=[[1, 2, True]]), "values, row 1"),
    "nan": (json.dumps(document(values=[[0, 0, 9.8], [1, 2, float("nan")]])).encode(), "row 2: not finite"),
    "no unit": (document(units="N/A"), "there is no unit of accel in it: say --accel-unit g or mg or m/s2"),
    "wrong kind": (document(units="dps"), "dps is no unit of accel"),
    "two axes": (document(names=("accX", "accY", "accY")), "x, y and z once each"),
    "no gravity": (document(values=[[0.1, 0.1, 0.1]] * 3), "0.018 g in the median where gravity gives about 1"),
    "other unit": (document(units="g"), "9.8 g in the median"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_give_one_line_that_names_the_file(tmp_path: Path, name: str) -> None:
    made, line = FAULTS[name]
    path = save(tmp_path / "in" / "wave.1.json", made)
    with pytest.raises(RecordingError, match=line) as caught:
        bring(path.parent, tmp_path / "out")
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))
    assert not (tmp_path / "out").exists()


def test_every_cut_of_a_document_is_refused() -> None:
    for data in (json.dumps(document()).encode(), cbor2.dumps(document())):
        for at in range(len(data)):
            with pytest.raises(RecordingError):
                acquisition.parse(data[:at])


# Units and axes


@pytest.mark.parametrize(
    ("unit", "value", "counts"), [("g", 0.5, 4096), ("mg", 500.0, 4096), ("m/s2", 9.80665 / 2, 4096)]
)
def test_units_of_acceleration(tmp_path: Path, unit: str, value: float, counts: int) -> None:
    path = save(tmp_path / "wave.1.json", document(values=[[0, 0, value]] * 2, units=unit))
    found = bring(path, tmp_path / "out")
    assert found.samples.tolist() == [[0, 0, counts]] * 2
    assert (found.channels, found.rate_hz, found.label) == (("ax", "ay", "az"), 100.0, "wave")


@pytest.mark.parametrize(("unit", "value"), [("deg/s", 100.0), ("°/s", 100.0), ("rad/s", np.deg2rad(100.0))])
def test_units_of_angular_rate(unit: str, value: float) -> None:
    names = ["gyrZ", "gyrX", "gyrY", "accX", "accY", "accZ", "magX"]
    values = np.array([[3 * value, value, 2 * value, 0.0, 0.0, 1.0, 55.0]])
    found = canonical(names, [unit] * 3 + ["g"] * 3 + ["uT"], values, Told())
    assert found.tolist()[0] == pytest.approx([0.0, 0.0, 1.0, 100.0, 200.0, 300.0])


def test_what_is_told_must_agree_with_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "wave.1.json", document())
    with pytest.raises(RecordingError, match="the file says m/s2, --accel-unit says g"):
        bring(path, tmp_path / "out", Told("g"))
    assert len(bring(path, tmp_path / "out", Told("m/s2")).samples) == 2
    csv = save(tmp_path / "chop.1.csv", b"timestamp,accX,accY,accZ\n0,0,0,9.8\n10,0,0,9.8\n")
    with pytest.raises(RecordingError, match="there is no unit of accel in it"):
        bring(csv, tmp_path / "csv")
    assert bring(csv, tmp_path / "csv", Told("m/s2")).time_us.tolist() == [0, 10000]
    with pytest.raises(UsageError, match="--gyro-unit knots: choose dps"):
        Told(gyro_unit="knots")


def test_axes_are_turned_for_both_sensors() -> None:
    names = ["ax", "ay", "az", "gx", "gy", "gz"]
    values = np.array([[0.1, 0.2, 0.9, 1.0, 2.0, 3.0]])
    found = canonical(names, ["g"] * 3 + ["dps"] * 3, values, Told(axes="y,-x,z"))
    assert found.tolist() == [[0.2, -0.1, 0.9, 2.0, -1.0, 3.0]]
    right = [axes for axes in ALL_AXES if _is_taken(axes)]
    assert len(right) == 24
    for axes in right:
        assert np.array_equal(rotation(axes) @ rotation(axes).T, np.eye(3))


ALL_AXES = [
    f"{a}{x},{b}{y},{c}{z}"
    for a in ("", "-") for b in ("", "-") for c in ("", "-")
    for x, y, z in ("xyz", "xzy", "yxz", "yzx", "zxy", "zyx")
]  # fmt: skip


def _is_taken(axes: str) -> bool:
    try:
        rotation(axes)
    except UsageError as error:
        assert "mirrors the frame" in str(error)
        return False
    return True


@pytest.mark.parametrize("axes", ["x,y", "x,y,w", "x,x,z", "", "--x,y,z"])
def test_axes_that_make_no_sense(axes: str) -> None:
    with pytest.raises(UsageError, match="--axes"):
        rotation(axes)


def test_files_of_two_rates_are_two_sessions(tmp_path: Path) -> None:
    save(tmp_path / "in" / "wave.1.json", document())
    save(tmp_path / "in" / "wave.2.json", document(interval_ms=16))
    with pytest.raises(RecordingError, match="62.5 Hz and 3 columns, wave.1.json has 100 Hz"):
        bring(tmp_path / "in", tmp_path / "out")
    with pytest.raises(RecordingError, match="holds no .json, .cbor, .csv"):
        bring(tmp_path / "out", tmp_path / "out")


def test_the_command_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path / "data", gentle())
    key = save(tmp_path / "key", KEY.encode() + b"\n")
    verb(tmp_path / "data", tmp_path / "out", to="edge-impulse-cbor", key_file=key, as_json=True)
    assert json.loads(capsys.readouterr().out)["files"] == ["wave.p01-s01-1.cbor"]
    verb(tmp_path / "out", tmp_path / "back", key_file=key, as_json=True)
    assert json.loads(capsys.readouterr().out)["trust"] == {"verified": 1}
    verb(tmp_path / "back", tmp_path / "npz", to="npz")
    assert "1 file in" in capsys.readouterr().out
    with pytest.raises(UsageError, match="--to matlab: choose bitwave"):
        verb(tmp_path / "data", tmp_path / "x", to="matlab")


def test_the_same_file_is_not_imported_twice(tmp_path: Path) -> None:
    store(tmp_path / "data", gentle(), gentle("idle"))
    exchange.export(dataset.load(tmp_path / "data"), tmp_path / "out", "edge-impulse-json")
    exchange.import_edge_impulse(tmp_path / "out", tmp_path / "back", Told(), "p01", "s01")
    before = sorted(path.name for path in (tmp_path / "back").iterdir())
    with pytest.raises(RecordingError, match=r"idle\.p01-s01-1\.json: .* holds it already as a take of idle"):
        exchange.import_edge_impulse(tmp_path / "out", tmp_path / "back", Told(), "p01", "s01")
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == before


def test_a_data_set_of_streams_alone_says_where_they_are(tmp_path: Path) -> None:
    store(tmp_path / "streams", gentle("stream"))
    with pytest.raises(RecordingError, match="holds no usable take, but streams: give .*streams, or cut takes"):
        verb(tmp_path, tmp_path / "out", to="npz")
    verb(tmp_path / "streams", tmp_path / "out", to="npz")
    assert np.load(tmp_path / "out" / "dataset.npz")["label"].tolist() == ["stream"]

"""`bitwave export`: image and C arrays from a .tflite file, with questions where the file does not say enough."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from bitwave import simulator
from bitwave.cli import run as run_cli
from bitwave.commands.export import export
from bitwave.core.host import HostCore
from bitwave.errors import ImageError, ModelError, UsageError, WriteError
from bitwave.model import export_c, foreign, image
from bitwave.tflite.build import write
from bitwave.tflite.reader import read_model
from ccode import CORE, CORE_SOURCES, STRICT, compiler, run
from models import CONVERTER_MODELS, random_model

FOREIGN = ("--labels", "wave,circle,idle,unknown", "--counts-per-unit", "8192", "--rate", "119")
ARENAS = export_c.Arenas(100, 200, 300)
app = typer.Typer()
app.command()(export)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file with metadata."""
    path = tmp_path / "own.tflite"
    path.write_bytes(write(random_model(1, steps=20, channels=6, dense=(4,), metadata=True, hop=5)))
    return path


@pytest.fixture
def foreign_file(tmp_path: Path) -> Path:
    """A file without."""
    path = tmp_path / "foreign.tflite"
    path.write_bytes(write(random_model(1, steps=20, channels=6, dense=(4,))))
    return path


def invoke(*words: str | Path, typed: str = "") -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=typed)


def done(*words: str | Path) -> Result:
    result = invoke(*words)
    assert result.exception is None, result.exception
    return result


def test_writes_image_and_c_text(own: Path, tmp_path: Path) -> None:
    out = tmp_path / "some" / "where"
    told = json.loads(done(own, "--out", out, "--json").stdout)
    model = read_model(own)
    packed = (out / "model.bwi").read_bytes()
    assert packed == image.build(model)
    core = HostCore(packed)
    assert told == {
        "image_bytes": len(packed),
        "raw_bytes": image.raw_bytes(model),
        "lanes": 4,
        "recognizer_arena_bytes": core.recognizer_bytes,
        "app_arena_bytes": core.app_bytes,
        "tflite_sha256": model.digest.hex(),
        "files": [str(out / name) for name in ("model.bwi", "bitwave_model.h", "bitwave_model.c")],
    }
    header = (out / "bitwave_model.h").read_text()
    assert f"#define BITWAVE_MODEL_RECOGNIZER_ARENA {core.recognizer_bytes}u" in header
    assert "BITWAVE_LABEL_LABEL_3 = 3" in header


def test_tells_people_in_a_table(own: Path, tmp_path: Path) -> None:
    assert re.search(r"image\s.*bytes.*\n.*RAM", done(own, "--out", tmp_path / "out").stdout)


def test_the_text_is_a_pure_function(own: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.tflite"
    moved.write_bytes(own.read_bytes())
    for source, folder in ((own, "a"), (moved, "b")):
        done(source, "--out", tmp_path / folder)
    for name in ("model.bwi", "bitwave_model.h", "bitwave_model.c"):
        content = (tmp_path / "a" / name).read_bytes()
        assert content == (tmp_path / "b" / name).read_bytes()
        assert str(tmp_path).encode() not in content


PROGRAM = """#include <stdio.h>
#include "bitwave_model.h"
int main(void) {
    static uint32_t arena[(BITWAVE_MODEL_NETWORK_ARENA + 3) / 4];
    bw_model model;
    if (bw_model_open(&model, bitwave_model_image, BITWAVE_MODEL_SIZE) != BW_OK ||
        bw_self_test(&model, arena, sizeof arena) != BW_OK || BITWAVE_LABEL_LABEL_1 != 1) {
        return 1;
    }
    return fwrite(bitwave_model_image, BITWAVE_MODEL_SIZE, 1, stdout) == 1 ? 0 : 1;
}
"""


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_exported_text_runs_in_a_program(name: str, own: Path, tmp_path: Path) -> None:
    done(own, "--out", tmp_path)
    (tmp_path / "main.c").write_text(PROGRAM)
    files = (tmp_path / "main.c", tmp_path / "bitwave_model.c", *CORE_SOURCES)
    run([*compiler(name), *STRICT, *files, "-o", tmp_path / "program"])
    assert run([tmp_path / "program"]) == (tmp_path / "model.bwi").read_bytes()


@pytest.mark.parametrize("name", ["zig-m4", "arm-gcc"])
def test_exported_text_compiles_for_the_board(name: str, own: Path, tmp_path: Path) -> None:
    done(own, "--out", tmp_path)
    run([*compiler(name), *STRICT, "-c", "bitwave_model.c"], cwd=tmp_path)


@pytest.mark.parametrize("reads", [(image.ABI_OLDEST - 2, image.ABI_OLDEST - 1), (image.ABI + 1, image.ABI + 2)])
def test_text_for_another_core_does_not_compile(reads: tuple[int, int], own: Path, tmp_path: Path) -> None:
    done(own, "--out", tmp_path)
    shutil.copytree(CORE / "include", tmp_path, dirs_exist_ok=True)
    header = tmp_path / "bitwave/model.h"
    other = header.read_text()
    for name, abi in zip(("BW_IMAGE_ABI_OLDEST", "BW_IMAGE_ABI"), reads, strict=True):
        assert f"#define {name} " in other
        other = re.sub(rf"(#define {name}) \d+", rf"\1 {abi}", other)
    header.write_text(other)
    command = [*compiler("gcc"), "-std=c99", "-I.", "-c", "bitwave_model.c"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "run: bitwave export" in result.stderr


def test_c_text_of_a_damaged_image_is_refused() -> None:
    packed = image.build(random_model(1))
    for make in (export_c.source, lambda bad: export_c.header(bad, (), ARENAS)):
        with pytest.raises(ImageError):
            make(packed[:-1] + bytes([packed[-1] ^ 1]))


def test_a_network_alone_has_no_label_enum() -> None:
    text = export_c.header(image.build(random_model(1)), (), ARENAS)
    assert "enum" not in text and "#define BITWAVE_MODEL_HOP 0 " in text


def test_a_foreign_file_asks_for_what_it_does_not_say(foreign_file: Path, tmp_path: Path) -> None:
    result = invoke(foreign_file, "--out", tmp_path / "out", "--labels", "a,b,c,d")
    assert isinstance(result.exception, UsageError)
    assert "carries no bitwave metadata: say --labels, --counts-per-unit, --rate" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_person_is_asked(foreign_file: Path, tmp_path: Path) -> None:
    """On a terminal, the questions come one by one."""
    if sys.platform == "win32":
        pytest.skip("needs a pseudo-terminal: not on Windows")
    import pty

    leader, follower = pty.openpty()
    program = "import sys; from bitwave.cli import run; import typer; from bitwave.commands.export import export\n"
    program += "app = typer.Typer(); app.command()(export); sys.exit(run(app))"
    words = [sys.executable, "-c", program, str(foreign_file), "--out", str(tmp_path), "--json"]
    with subprocess.Popen(words, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(follower)
        os.write(leader, b"wave,circle,idle,unknown\n8192\n119\n")
        out, err = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0, err.decode()
    assert [err.decode().count(word) for word in ("Labels of the 4 scores", "Raw counts", "Sample rate")] == [1, 1, 1]
    assert json.loads(out)["lanes"] == 4
    assert "BITWAVE_LABEL_CIRCLE = 1" in (tmp_path / "bitwave_model.h").read_text()


def test_a_foreign_file_with_answers_recognises(foreign_file: Path, tmp_path: Path) -> None:
    words = ("--counts-per-unit", "8192,8192,8192,16.384,16.384,16.384", "--zero-counts", "0,0,100,0,0,0", "--hop", "4")
    done(foreign_file, "--out", tmp_path, "--labels", "wave,circle,idle,unknown", "--rate", "119", *words)
    model = read_model(foreign_file)
    metadata = foreign.metadata(
        model,
        labels=("wave", "circle", "idle", "unknown"),
        rate_hz=119,
        hop=4,
        counts_per_unit=(8192, 8192, 8192, 16.384, 16.384, 16.384),
        zero_counts=(0, 0, 100, 0, 0, 0),
    )
    assert metadata.channels == ("ax", "ay", "az", "gx", "gy", "gz")
    assert metadata.decision.fires == (True, True, False, False)
    named = dataclasses.replace(model, metadata=metadata)
    packed = (tmp_path / "model.bwi").read_bytes()
    assert packed == image.build(named)
    raw = np.random.default_rng(1).integers(-32768, 32768, (300, 6)).astype(np.int16)
    assert HostCore(packed).events(raw).events == simulator.stream_events(named, raw)


@pytest.mark.parametrize("path", CONVERTER_MODELS, ids=lambda path: path.stem)
def test_the_converters_files_export(path: Path, tmp_path: Path) -> None:
    model = read_model(path)
    labels = ",".join(f"label-{index}" for index in range(model.classes))
    done(path, "--out", tmp_path, "--labels", labels, "--counts-per-unit", "8192", "--rate", "100")
    assert HostCore((tmp_path / "model.bwi").read_bytes()).self_test()


@pytest.mark.parametrize("counts_per_unit,scale", [(8192.0, 1 / 32), (16.384, 0.5), (1.0, 0.01), (131.0, 2.0)])
def test_scaling_is_the_nearest_that_the_formula_can_say(counts_per_unit: float, scale: float) -> None:
    channel = foreign.scaling(counts_per_unit, 7, scale)
    factor = 1.0 / (counts_per_unit * scale)
    assert abs(channel.multiplier / 2**channel.shift / factor - 1) < 2**-13
    assert channel.offset == 7


@pytest.mark.parametrize("words,complaint", [
    (("--labels", "a,b,c"), "the model has 4 classes, --labels names 3"),
    (("--labels", "a,b,c,C"), "metadata is not usable: labels.3"),
    (("--labels", "a,b,c,c"), "labels repeat"),
    (("--counts-per-unit", "1,2"), "the model has 6 channels, --counts-per-unit names 2"),
    (("--counts-per-unit", "many"), "--counts-per-unit takes numbers"),
    (("--counts-per-unit", "inf"), "--counts-per-unit takes finite numbers"),
    (("--counts-per-unit", "0"), "does not fit a model whose input has steps"),
    (("--counts-per-unit", "-5"), "does not fit a model whose input has steps"),
    (("--counts-per-unit", "1e-9"), "does not fit a model whose input has steps"),
    (("--counts-per-unit", "1e15"), "does not fit a model whose input has steps"),
    (("--zero-counts", "40000"), "zero at 40000 does not fit"),
    (("--zero-counts", "1,2,3"), "--zero-counts names 3"),
    (("--channels", "x,y"), "--channels names 2"),
    (("--rate", "-3"), "rate_hz"),
    (("--hop", "21"), "hop 21 is longer than the window 20"),
])  # fmt: skip
def test_unusable_answers_are_named(foreign_file: Path, tmp_path: Path, words: tuple[str], complaint: str) -> None:
    given = dict(zip(FOREIGN[::2], FOREIGN[1::2], strict=True)) | dict([words])
    result = invoke(foreign_file, "--out", tmp_path / "out", *(word for pair in given.items() for word in pair))
    assert isinstance(result.exception, UsageError)
    assert complaint in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_answers_to_nobodys_question_are_refused(own: Path, tmp_path: Path) -> None:
    result = invoke(own, "--out", tmp_path / "out", "--labels", "a,b,c,d", "--hop", "3")
    assert isinstance(result.exception, UsageError)
    assert "carries its own metadata: leave out --labels, --hop" in str(result.exception)


def test_too_many_lanes_is_explained(foreign_file: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep.tflite"
    deep.write_bytes(write(random_model(1, steps=100, channels=6, dense=(4,))))
    result = invoke(deep, "--out", tmp_path / "out", *FOREIGN, "--hop", "2")
    assert isinstance(result.exception, ModelError) and "choose a hop of 4" in str(result.exception)


def test_a_damaged_file_has_its_exit_code(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.write_bytes(own.read_bytes()[:-100])
    assert run_cli(app, [str(own), "--out", str(tmp_path / "out")]) == ModelError.exit_code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_has_its_exit_code(own: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result = invoke(own, "--out", blocked / "out")
    assert isinstance(result.exception, WriteError)

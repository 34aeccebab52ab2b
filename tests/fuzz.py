"""Fuzzes frames, commands, images and slots under sanitizers: `python tests/fuzz.py INPUTS` for a long run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bitwave.model import image
from ccode import CORE, CORE_SOURCES, PROGRAMS, ROOT, SANITIZE, STRICT, compiler
from models import random_model, with_gate

TARGETS = ("frames", "commands", "image", "slots")
SHARE = {"frames": 4, "commands": 2, "image": 2, "slots": 2}  # of ten inputs
LIBFUZZER = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
NOR = ROOT / "firmware/host/bw_nor.c"


def core_objects(cc: str, flags: Sequence[str], folder: Path) -> list[Path]:
    """The core and the flash of the tests, compiled once for all targets."""
    folder.mkdir(exist_ok=True)
    objects = [folder / f"{source.stem}.o" for source in (*CORE_SOURCES, NOR)]
    if not all(path.exists() for path in objects):
        compile_c([*compiler(cc), *STRICT, *flags, "-c", *CORE_SOURCES, NOR], folder)
    return objects


def build(target: str, cc: str, folder: Path, libfuzzer: bool = False, changed: Path | None = None) -> Path:
    """Compiles a target with its driver, or with libFuzzer's (clang); `changed` takes the place of a source."""
    kind = f"{cc}-libfuzzer" if libfuzzer else cc
    out = folder / (f"fuzz-{target}-{kind}" if changed is None else f"fuzz-{target}-{kind}-changed")
    flags = LIBFUZZER if libfuzzer else SANITIZE
    objects = core_objects(cc, flags, folder / kind)
    own = [PROGRAMS / f"fuzz_{target}.c", PROGRAMS / "fuzz_common.c"]
    own += [] if libfuzzer else [PROGRAMS / "fuzz_driver.c"]
    if changed is not None:
        own.append(changed)
        objects = [path for path in objects if path.stem != changed.stem]
    include = f"-I{CORE / 'src'}"
    compile_c([*compiler(cc), *STRICT, include, *flags, *own, *objects, "-o", out], folder)
    return out


def compile_c(command: Sequence[str | Path], folder: Path) -> None:
    """Runs a compiler that must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[:4000])


def small_image(folder: Path) -> Path:
    """A model of two layers that fits the driver's inputs and runs in no time."""
    path = folder / "model.bwi"
    model = random_model(
        3, steps=8, channels=3, hidden=(3, 2), dense=(4, 4), per_channel=True, hop=3, metadata=True
    )  # fmt: skip
    path.write_bytes(image.build(with_gate(model, still=8, preroll=7)))
    return path


def run(program: Path, model: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Runs a target to its end."""
    command = [str(program), *map(str, words)]
    environment = os.environ | {"BITWAVE_IMAGE": str(model)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", check=False, cwd=program.parent
    )


def first_failure(program: Path, model: Path, count: int) -> int:
    """The number of the first of `count` inputs that fails, where one does: each depends on its number alone."""
    low, high = 0, count  # a failure lies in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        if run(program, model, low, middle - low).returncode:
            high = middle
        else:
            low = middle
    return low


def main() -> int:
    """A long run of all targets; the exit code says whether it found something."""
    inputs = int(sys.argv[1])
    found = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = small_image(folder)
        programs = {target: build(target, "clang", folder) for target in TARGETS}
        for target, program in programs.items():
            count = inputs * SHARE[target] // 10
            done = run(program, model, 0, count)
            print(target, done.stdout.strip() or done.stderr[:4000], flush=True)
            if done.returncode != 0:
                found += 1
                print(f"{target}: input {first_failure(program, model, count)}", flush=True)
    print(f"{found} findings in {inputs} inputs")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())

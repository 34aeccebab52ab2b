"""The C core as source: strict warnings, every compiler, nothing but its own names, no float, no memory of its own."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwave.model.quantmodel import Multiplier
from bitwave.simulator import fixed
from ccode import COMPILERS, CORE, CORE_SOURCES, M4, M4_SOURCES, ROOT, STRICT, compiler, program, run
from support import need

LIBRARY_CALLS = {"memcpy", "memmove", "memset", "memcmp", "strlen"}
PUBLIC_HEADERS = sorted(path.relative_to(CORE / "include").as_posix() for path in CORE.glob("include/**/*.h"))
HOST_SOURCES = tuple(sorted((ROOT / "firmware/host").glob("*.c")))


@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("name", COMPILERS)
def test_compiles_without_a_warning(name: str, level: str, tmp_path: Path) -> None:
    run([*compiler(name), *STRICT, level, "-c", *CORE_SOURCES, *HOST_SOURCES], cwd=tmp_path)


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("header", PUBLIC_HEADERS)
def test_public_header_compiles_alone(header: str, language: str, tmp_path: Path) -> None:
    need("gcc")
    include = tmp_path / f"alone.{language.replace('+', 'p')}"
    include.write_text(f'#include "{header}"\n')
    standard = "-std=c99" if language == "c" else "-std=gnu++14"
    flags = ("-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{CORE / 'include'}")
    run(["gcc", "-x", language, standard, *flags, include])


def test_includes_nothing_but_the_three_headers() -> None:
    files = [*CORE_SOURCES, *CORE.glob("src/*.h"), *CORE.glob("include/**/*.h")]
    system = {name for file in files for name in re.findall(r"#include <(.+)>", file.read_text())}
    assert system == {"stdint.h", "stddef.h", "string.h"}


@pytest.mark.parametrize("name", ["gcc", "arm-gcc"])
def test_symbols(name: str, tmp_path: Path) -> None:
    """Only bw_ names leave; only five library calls come in (no malloc, stdio or float helper); no writable data."""
    command = compiler(name)
    run([*command, *STRICT, "-O2", "-c", *(M4_SOURCES if M4[0] in command else CORE_SOURCES)], cwd=tmp_path)
    nm = "nm" if name == "gcc" else "arm-none-eabi-nm"
    defined: set[str] = set()
    wanted: set[str] = set()
    for line in run([nm, "-P", *tmp_path.glob("*.o")]).decode().splitlines():
        symbol, _, rest = line.partition(" ")
        if not rest:
            continue  # the name of a file
        kind = rest[0]
        assert kind not in "bBdDC", f"{symbol} is writable data"
        if kind == "U":
            wanted.add(symbol)
        elif kind.isupper():
            defined.add(symbol)
    assert all(symbol.startswith("bw_") for symbol in defined)
    helpers = {"__aeabi_uldivmod", "__aeabi_llsl", "__aeabi_lmul"} if M4[0] in command else {"_GLOBAL_OFFSET_TABLE_"}
    assert wanted - defined <= LIBRARY_CALLS | helpers


def test_table_is_what_its_generator_prints() -> None:
    generator = runpy.run_path(str(CORE / "generate_lut.py"))
    assert (CORE / "src/bw_lut.c").read_text() == generator["source"]()
    assert (CORE / "src/bw_slopes.c").read_text() == generator["slopes_source"]()
    assert generator["table"]() == fixed.sigmoid_table().tolist()


@pytest.fixture(scope="module", params=["gcc", "clang"])
def arithmetic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program("arithmetic", request.param, tmp_path_factory.mktemp("arithmetic"))


def test_activations_over_all_int16(arithmetic: Path) -> None:
    got = np.frombuffer(run([arithmetic, "activations"]), np.int32).reshape(33, 65536)
    every = np.arange(-32768, 32768)
    np.testing.assert_array_equal(got[0], fixed.sigmoid(every))
    for row, shift in zip(got[1:], range(-17, 15), strict=True):
        np.testing.assert_array_equal(row, fixed.tanh(every, shift), err_msg=f"shift {shift}")


def exact_requantize(value: int, multiplier: Multiplier) -> int:
    """The rule in Python's unbounded integers: ties toward plus infinity, then ties away from zero."""
    product = ((value << max(multiplier.shift, 0)) * multiplier.mantissa + (1 << 30)) >> 31
    right = max(-multiplier.shift, 0)
    half = (1 << right) >> 1
    return (product + half) >> right if product >= 0 else -((-product + half) >> right)


def triples() -> st.SearchStrategy[tuple[int, int, int]]:
    """Values whose left shift fits, with ties among them: halves of the divisor plus multiples of it."""
    shifts = st.integers(-31, 30)
    mantissas = st.one_of(
        st.just(0), st.sampled_from([1 << 30, (1 << 31) - 1, 3 << 29]), st.integers(1 << 30, 2**31 - 1)
    )

    def values(shift: int) -> st.SearchStrategy[int]:
        limit = (2**31 - 1) >> max(shift, 0)
        ties = st.integers(-4, 4).map(lambda n: max(-limit, min(limit, (2 * n + 1) << max(-shift, 0))))
        return st.one_of(st.integers(-limit, limit), ties)

    return shifts.flatmap(lambda shift: st.tuples(values(shift), mantissas, st.just(shift)))


@settings(max_examples=20, deadline=None)
@given(st.lists(triples(), min_size=50, max_size=400))
def test_requantize(arithmetic: Path, cases: list[tuple[int, int, int]]) -> None:
    got = np.frombuffer(run([arithmetic, "requantize"], np.array(cases, np.int32).tobytes()), np.int32)
    wanted = [exact_requantize(value, Multiplier(mantissa, shift)) for value, mantissa, shift in cases]
    assert got.tolist() == wanted

"""The cost model against hand-counted snippets: each line of the manual's tables that a kernel may meet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import need

RETURN = 3  # bx lr: 1, and 2 to refill the pipeline
RAM = 0x20000000


@dataclass(frozen=True)
class Snippet:
    name: str
    code: str  # between the label and `bx lr`
    instructions: int  # without `bx lr`
    cycles: int  # without `bx lr`
    arguments: tuple[int, ...] = ()
    result: int | None = None


SNIPPETS = [
    Snippet("empty", "", 0, 0),
    Snippet("alu", "adds r0, r1, r2; lsls r0, r0, #3; sxtb r0, r0; ubfx r0, r0, #1, #4; pkhbt r0, r0, r1", 5, 5),
    Snippet("multiply", "mul r0, r1, r2; mla r0, r1, r2, r0; smull r2, r3, r0, r1; smlal r2, r3, r0, r1", 4, 4),
    Snippet(
        "dsp", "smlad r0, r1, r2, r0; smlald r2, r3, r0, r1; sxtb16 r0, r1; ssat r0, #8, r0; qadd r0, r0, r1", 5, 5
    ),
    # 100 / 7 = 14: four bits, 3 + 1; 7 / 100 = 0: 2; -2^31 / 1: 32 bits, 3 + 8; by zero: 2
    Snippet("divide", "udiv r0, r0, r1", 1, 4, (100, 7), 14),
    Snippet("divide_small", "udiv r0, r0, r1", 1, 2, (7, 100), 0),
    Snippet("divide_signed", "sdiv r0, r0, r1", 1, 11, (0x80000000, 1), 0x80000000),
    Snippet("divide_by_zero", "sdiv r0, r0, r1", 1, 2, (5, 0), 0),
    Snippet("load", "ldr r0, [r0]", 1, 2, (RAM,)),
    Snippet("loads_pipelined", "ldr r1, [r0]; ldrb r2, [r0, #4]; ldrsh r3, [r0, #6]", 3, 2 + 1 + 1, (RAM,)),
    Snippet("loads_write_back", "ldr r1, [r0], #4; ldr r2, [r0], #4", 2, 2 + 1, (RAM,)),
    # the second address is the first one's result; memory is zero there, so it reads the vector table
    Snippet("loads_dependent", "ldr r1, [r0]; ldr r1, [r1]", 2, 2 + 2, (RAM,)),
    Snippet("load_then_use", "ldr r1, [r0]; adds r1, r1, #1", 2, 2 + 1, (RAM,)),
    Snippet("literal", "ldr r0, =0x12345678; b 1f; .ltorg; 1:", 2, 2 + 1 + 2, (), 0x12345678),
    Snippet("store", "str r1, [r0]; strb r1, [r0, #4]; strh r1, [r0], #2", 3, 3, (RAM,)),
    Snippet("store_register", "movs r2, #4; nop; str r1, [r0, r2]", 3, 1 + 1 + 2, (RAM,)),
    Snippet("store_register_after_load", "ldr r1, [r0]; str r1, [r0, r2]", 2, 2 + 1, (RAM, 0, 4)),
    Snippet("pair", "ldrd r1, r2, [r0]; strd r1, r2, [r0, #8]", 2, 3 + 3, (RAM,)),
    Snippet("several", "push {r4, r5, r6}; ldmia r0, {r1, r2}; pop {r4, r5, r6}", 3, 4 + 3 + 4, (RAM,)),
    # push 3, bl 1 + 2, push 3, pop 3 + 2, b 1 + 2, pop 3
    Snippet("return_by_pop", "push {r4, lr}; bl 1f; b 2f; 1: push {r4, lr}; pop {r4, pc}; 2: pop {r4, lr}", 6, 20),
    Snippet("interlock", "adds r0, r0, #4; ldr r1, [r0]", 2, 1 + 2 + 1, (RAM,)),
    Snippet("no_interlock", "adds r0, r0, #4; nop; ldr r1, [r0]", 3, 1 + 1 + 2, (RAM,)),
    Snippet("interlock_store", "adds r0, r0, #4; str r1, [r0]", 2, 1 + 1 + 1, (RAM,)),
    Snippet("unaligned_half", "ldrh r1, [r0]", 1, 2 + 1, (RAM + 1,)),
    Snippet("unaligned_word_even", "ldr r1, [r0]", 1, 2 + 1, (RAM + 2,)),
    Snippet("unaligned_word_odd", "ldr r1, [r0]; str r1, [r0, #8]", 2, 2 + 2 + 1 + 2, (RAM + 1,)),
    Snippet("unaligned_index", "ldrsh r1, [r0, r1, lsl #1]", 1, 2 + 1, (RAM + 1, 2)),
    Snippet("branch_taken", "cmp r0, #0; beq 1f; nop; 1:", 2, 1 + 1 + 2, (0,)),
    Snippet("branch_not_taken", "cmp r0, #0; beq 1f; nop; 1:", 3, 1 + 1 + 1, (1,)),
    Snippet("compare_and_branch", "cbz r0, 1f; nop; 1:", 1, 1 + 2, (0,)),
    # five rounds: subs 5, bne taken four times
    Snippet("loop", "movs r0, #5; 1: subs r0, #1; bne 1b", 11, 1 + 5 + 4 * 3 + 1, (), 0),
    Snippet("if_then_run", "cmp r0, r1; it lt; movlt r0, r1", 3, 3, (1, 2), 2),
    Snippet("if_then_skipped", "cmp r0, r1; it lt; movlt r0, r1", 3, 3, (2, 1), 2),
    Snippet(
        "if_then_else",
        "cmp r0, r1; itete lt; movlt r0, r1; addge r0, r0, #1; movlt r2, r3; movge r3, r2",
        6,
        6,
        (4, 3),
        5,
    ),
    # a skipped load costs one cycle and leaves the next load nothing to overlap with
    Snippet("skipped_load", "cmp r1, #0; it ne; ldrne r2, [r0]; ldr r3, [r0]", 4, 1 + 1 + 1 + 2, (RAM, 0)),
    Snippet("table_branch", "tbb [pc, r0]; 1: .byte (2f-1b)/2, (3f-1b)/2; 2: nop; 3: nop", 3, 4 + 2 + 2, (0,)),
    Snippet("float", "vmov s0, r0; vadd.f32 s1, s0, s0; vmov.f32 s2, s0; vmov r0, s0", 4, 2 + 1 + 1 + 2),
    Snippet("float_late", "vmul.f32 s1, s0, s0; vadd.f32 s2, s1, s1; nop", 3, 1 + 1 + 1 + 1),
    Snippet(
        "float_fused", "vmla.f32 s0, s1, s2; nop; vfma.f32 s3, s1, s2; nop; vdiv.f32 s4, s1, s2", 5, 3 + 1 + 3 + 1 + 14
    ),
    Snippet("float_memory", "vldr s0, [r0]; vstr s0, [r0]; vldmia r0, {s0-s3}; vpush {d8}; vpop {d8}", 5, 15, (RAM,)),
]


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    need("ziglang", "unicorn", "capstone", "elftools")
    from bitwave.emulator.counter import CycleCounter
    from bitwave.emulator.machine import Machine

    folder: Path = tmp_path_factory.mktemp("snippets")
    lines = [".syntax unified", ".thumb", ".text"]
    for snippet in SNIPPETS:
        body = snippet.code.replace("; ", "\n")
        lines += [".align 2", f".type {snippet.name}, %function", f".global {snippet.name}", f"{snippet.name}:"]
        lines += [body, "bx lr", ".ltorg", f".size {snippet.name}, . - {snippet.name}"]
    (folder / "snippets.s").write_text("\n".join(lines) + "\n")
    (folder / "snippets.ld").write_text("SECTIONS { .text 0x400 : { *(.text) } }\n")
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        "thumb-freestanding-eabihf",
        "-mcpu=cortex_m4+vfp4d16sp",
    ]
    command += ["-nostdlib", "-Wl,-T,snippets.ld", "-Wl,-e,empty", "-o", "snippets.elf", "snippets.s"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    yield CycleCounter(Machine(folder / "snippets.elf"))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.name)
def test_snippet(counter, snippet: Snippet) -> None:
    run = counter.count(snippet.name, *snippet.arguments)
    cost = counter.price(run)
    assert (cost.total_instructions, cost.total_cycles) == (snippet.instructions + 1, snippet.cycles + RETURN)
    if snippet.result is not None:
        assert run.result == snippet.result


def test_assumptions_change_the_price_of_the_same_run(counter) -> None:
    from bitwave.emulator.cost import CostModel

    def cycles(name: str, arguments: tuple[int, ...], **assumed: object) -> int:
        return counter.price(counter.count(name, *arguments), CostModel(**assumed)).total_cycles

    assert cycles("loop", (), refill=1) == 1 + 5 + 4 * 2 + 1 + 2
    assert cycles("loop", (), refill=3) == 1 + 5 + 4 * 4 + 1 + 4
    assert cycles("loads_pipelined", (RAM,), pipelines_loads=False) == 6 + RETURN
    assert cycles("loads_write_back", (RAM,), pipelines_write_back=False) == 4 + RETURN
    assert cycles("interlock", (RAM,), address_interlock=False) == 3 + RETURN
    assert cycles("if_then_run", (1, 2), folds_it=True) == 2 + RETURN


def test_stack_and_traffic(counter) -> None:
    run = counter.count("several", RAM)
    assert run.stack == 12
    assert (run.flash_reads, run.ram_reads, run.writes) == (0, 2 + 3, 3)
    assert counter.count("literal").flash_reads == 1
    assert counter.count("empty").stack == 0


def test_shares_add_up(counter) -> None:
    cost = counter.price(counter.count("return_by_pop"))
    shares = counter.by_function(cost)
    assert [share.function for share in shares] == ["return_by_pop"]
    assert (shares[0].instructions, shares[0].calls) == (cost.total_instructions, 1)
    kinds = counter.by_kind(cost)
    assert sum(cycles for _, cycles in kinds.values()) == cost.total_cycles


def test_counting_changes_no_result(counter) -> None:
    machine = counter.machine
    for snippet in SNIPPETS:
        if snippet.result is not None:
            assert machine.call(snippet.name, *snippet.arguments) == snippet.result
            assert counter.count(snippet.name, *snippet.arguments).result == snippet.result


def test_fault_names_the_function(counter) -> None:
    from bitwave.emulator.machine import MachineFault

    with pytest.raises(MachineFault, match=r"in load$"):
        counter.machine.call("load", 0x70000000)

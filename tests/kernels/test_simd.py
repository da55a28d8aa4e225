"""The SIMD layer: machines are known in inner/simd/ alone, and all of them give the same names."""

import re
from pathlib import Path

import pytest

from cgcython import kernels

FOLDER = Path(kernels.__file__).parent
SIMD = FOLDER / "inner" / "simd"
SOURCES = sorted(path for kind in ("h", "pxd", "pyx") for path in FOLDER.rglob(f"*.{kind}"))
ELSEWHERE = [path for path in SOURCES if SIMD not in path.parents]
# Intrinsics, assembly, and what only one compiler or processor understands.
OF_A_MACHINE = re.compile(
    r"\b_mm\d*_|\b__m\d+|\bv(?:ld|st|add|mul|get|dup)\w*q?_[fsup]\d+|immintrin|arm_neon"
    r"|\b(?:__)?asm(?:__)?\b|__builtin_|__attribute__|_Pragma|#\s*pragma"
    r"|__(?:AVX|SSE|FMA|F16C|ARM|GNUC|clang|x86_64|aarch64|i386|_MSC)\w*|\bGCC\b"
)
TOPICS = ("floats", "halves", "integers", "bytes")
# Asked for only where vectors have so many lanes, or offered together with another name.
WITH_ANOTHER = (
    "cg_swap4",
    "cg_swap8",
    "cg_fields_of",
    "cg_unpack8",
    "cg_get_rounding",
    "cg_set_words",
)
DEFINITION = re.compile(r"^CG_INLINE ([\w ]+?\**) ?\**(cg_\w+)\(([^)]*)\)", re.MULTILINE)
OFFERED = re.compile(r"^#define (cg_\w+) \1$", re.MULTILINE)


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_nothing_else_knows_a_machine_or_a_compiler(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [f"{path.name}:{i}: {line}" for i, line in enumerate(lines, 1) if knows(line)]
    assert not found


def knows(line):
    return OF_A_MACHINE.search(line)


@pytest.mark.parametrize(
    "line",
    [
        "__m512i x = _mm512_setzero_si512();",
        'int ones "__builtin_popcount"(u32 bits)',
        "#if defined(__AVX2__)",
        "float32x4_t v = vld1q_f32(p);",
        '__asm__("" : "+x"(v));',
        '_Pragma("GCC unroll 16")',
    ],
)
def test_a_machine_is_recognized(line):
    assert knows(line)


@pytest.mark.parametrize("machine", ["x86", "neon"])
@pytest.mark.parametrize("topic", TOPICS)
def test_what_a_machine_offers_any_processor_can_do(machine, topic):
    own = (SIMD / machine / f"{topic}.h").read_text(encoding="utf-8")
    generic = (SIMD / "generic" / f"{topic}.h").read_text(encoding="utf-8")
    offered = set(OFFERED.findall(own))
    assert offered
    for name in offered:
        assert (
            f"#ifndef {name}\n" in generic
            or f"#ifndef {name} /*" in generic
            or (
                f"#ifdef {name}\n" in generic  # the fact that a machine has it
            )
        ), f"{machine}/{topic}.h offers {name}, of which generic/{topic}.h does not know"


@pytest.mark.parametrize("machine", ["x86", "neon"])
@pytest.mark.parametrize("topic", TOPICS)
def test_what_a_machine_defines_it_offers_under_the_same_parameters(machine, topic):
    own = (SIMD / machine / f"{topic}.h").read_text(encoding="utf-8")
    generic = parameters((SIMD / "generic" / f"{topic}.h").read_text(encoding="utf-8"))
    for name, taken in parameters(own).items():
        if not name.startswith(f"cg_{machine}_") and name not in WITH_ANOTHER:
            assert name in OFFERED.findall(own), f"{machine}/{topic}.h keeps {name} to itself"
        if name in generic:
            assert taken == generic[name]


def parameters(text):
    """Return the types of the parameters of each function."""
    names = re.compile(r"\w+(?:\[\d*\])?$")
    return {
        name: tuple(names.sub("", one.strip()).strip() for one in taken.split(","))
        for _, name, taken in DEFINITION.findall(text)
    }

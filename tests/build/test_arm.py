"""The C that differs by machine, compiled for 64-bit ARM and run there; skipped without a cross compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
GCC = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64-static"
COMPILERS = {"gcc": (GCC,), "clang": ("clang", "--target=aarch64-linux-gnu")}

PROGRAM = r"""
#include "zc_crc32c.h"

int main(void)
{
	static uint8_t data[40000];
	int wrong = zc_crc32c((const uint8_t *)"123456789", 9, 0) != 0xE3069283;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i * 31 >> 3);
	for (size_t nbytes = 0; nbytes < sizeof(data); nbytes += nbytes < 1600 ? 7 : 777)
		for (int level = 1; level <= zc_crc32c_best_level(); level++)
			wrong |= zc_crc32c_at(level, data, nbytes, 5) != zc_crc32c_at(0, data, nbytes, 5);
	return wrong;
}
"""


def needs(*programs: str) -> None:
    """Skip where one of them is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def compiled(compiler: str, source: Path, folder: Path) -> Path:
    target = folder / f"{source.stem}.o"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{CSRC}"]
    subprocess.run([*COMPILERS[compiler], *flags, "-c", str(source), "-o", str(target)], check=True)
    return target


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_level_of_crc32c_agrees_on_arm(compiler: str, tmp_path: Path) -> None:
    needs(GCC, EMULATOR, COMPILERS[compiler][0])
    main = tmp_path / "main.c"
    main.write_text(PROGRAM)
    objects = [str(compiled(compiler, source, tmp_path)) for source in (main, CSRC / "zc_crc32c.c")]
    program = str(tmp_path / "program")
    subprocess.run([GCC, "-static", *objects, "-o", program], check=True)
    assert subprocess.run([EMULATOR, program], check=False).returncode == 0


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "name", ["zc_bitround", "zc_casting", "zc_fill", "zc_items", "zc_rows", "zc_transpose"]
)
def test_vector_code_compiles_for_arm(compiler: str, name: str, tmp_path: Path) -> None:
    needs(GCC, COMPILERS[compiler][0])
    assert compiled(compiler, CSRC / f"{name}.c", tmp_path).stat().st_size > 0

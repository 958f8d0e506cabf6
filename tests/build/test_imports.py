"""Imports point one way: each room of the package imports only from the rooms below it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# From top to bottom; a module may import from lower steps, and from its own room.  Rooms that share a step
# stand beside each other and do not know each other, save for the pairs below.
STEPS: tuple[tuple[str, ...], ...] = (
    ("cli",),
    ("interop",),
    ("tools", "testing", "transactions"),
    ("",),  # zarrc/__init__.py shows the names of everything below the command line
    ("mosaic",),
    ("creation",),
    ("handles",),
    ("engine",),
    ("indexing", "metadata", "storage"),
    ("codecs", "grids", "dtypes"),
    ("kernels",),
    ("config", "reading", "warning"),
    ("errors", "frozen", "lazy"),
)
LEVEL = {room: -depth for depth, rooms in enumerate(STEPS) for room in rooms}

# A codec is resolved against a data type and a chunk shape, which are beside it.
BESIDE = {("codecs", "dtypes"), ("codecs", "grids"), ("grids", "dtypes")}

# Imports inside a function that may point up, each with the method or name that fronts for it.
LAZY: dict[tuple[str, str], str] = {
    ("zarrc.array", "zarrc.tools.compacting"): "a.compact() fronts a tool",
    ("zarrc.array_walking", "zarrc.tools.digesting"): "a.digest() fronts a tool",
    ("zarrc.array_walking", "zarrc.tools.mapping"): "a.map_chunks() fronts a tool",
    ("zarrc.engine.unsettled", "zarrc.transactions.recovering"): "what a transaction left is met by opening",
    ("zarrc.group_changing", "zarrc.tools.hierarchies"): "g.copy(), g.pop(), assigning a group front a tool",
    ("zarrc.group_changing", "zarrc.tools.moving"): "g.move() and g.rename() front a tool",
    ("zarrc.new_nodes", "zarrc.tools.hierarchies"): "groups in an assigned dict are looked at by the tool",
}


@dataclass(frozen=True)
class Import:
    """One import statement: where it is, of what, and whether a function body delays it."""

    module: str
    target: str
    line: int
    lazy: bool


def modules(root: Path) -> list[Path]:
    return sorted(path for path in (root / "zarrc").rglob("*") if path.suffix in {".py", ".pyx", ".pxd"})


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def level(module: str) -> int:
    """The step of ``module``.  What is no room of its own in the top folder (array.py, ...) is a handle's."""
    return LEVEL.get(room(module), LEVEL["handles"])


def python_imports(path: Path, module: str) -> Iterator[Import]:
    tree = ast.parse(path.read_text("utf-8"))
    delayed = {
        id(node) for function in ast.walk(tree) if is_function(function) for node in ast.walk(function)
    }
    checked_only = {
        id(node) for branch in ast.walk(tree) if is_type_checking(branch) for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in checked_only:
            continue
        for target in import_targets(node, module, is_package=path.name == "__init__.py"):
            yield Import(module, target, node.lineno, id(node) in delayed)


def is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def import_targets(node: ast.AST, module: str, *, is_package: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parts = module.split(".")
        above = parts[: len(parts) - node.level + is_package]
        base = ".".join([*above, *([node.module] if node.module else [])])
    # "from zarrc import errors" imports a module, "from zarrc.errors import X" from one.
    return [f"zarrc.{alias.name}" for alias in node.names] if base == "zarrc" else [base]


CYTHON_IMPORT = re.compile(
    r"^(\s*)(?:from\s+([\w.]+)\s+c?import\s+(.*)|c?import\s+([\w.]+).*)$", re.MULTILINE
)


def cython_imports(path: Path, module: str) -> Iterator[Import]:
    text = path.read_text("utf-8")
    for match in CYTHON_IMPORT.finditer(text):
        indent, base, names, whole = match.groups()
        target = whole or base
        assert not target.startswith("."), f"{path.name}: name modules in full, {match.group(0)!r}"
        if target == "zarrc":
            target = f"zarrc.{names.strip('( ').split(',')[0].split(' ')[0]}"
        yield Import(module, target, text.count("\n", 0, match.start()) + 1, bool(indent))


def all_imports(root: Path) -> list[Import]:
    found: list[Import] = []
    for path in modules(root):
        read = python_imports if path.suffix == ".py" else cython_imports
        found += read(path, module_name(path, root))
    return [each for each in found if each.target == "zarrc" or each.target.startswith("zarrc.")]


def points_up(each: Import) -> bool:
    here, there = room(each.module), room(each.target)
    if here == there or (here, there) in BESIDE:
        return False
    if level(each.module) == level(each.target) == LEVEL["handles"]:
        return False
    return level(each.target) >= level(each.module)


def test_every_room_has_a_place(source_root: Path) -> None:
    folders = {path.parent.name for path in (source_root / "zarrc").glob("*/__init__.py")}
    assert folders <= set(LEVEL)


def test_no_import_points_up(source_root: Path) -> None:
    wrong = [
        f"{each.module}:{each.line} imports {each.target}"
        for each in all_imports(source_root)
        if points_up(each) and not (each.lazy and (each.module, each.target) in LAZY)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_exception_is_still_needed(source_root: Path) -> None:
    used = {(each.module, each.target) for each in all_imports(source_root) if each.lazy and points_up(each)}
    assert set(LAZY) <= used


@pytest.mark.parametrize("suffix", [".pyx", ".pxd"])
def test_kernels_know_neither_json_nor_paths(source_root: Path, suffix: str) -> None:
    for path in sorted((source_root / "zarrc" / "kernels").glob(f"*{suffix}")):
        names = {each.target.split(".")[0] for each in cython_imports(path, module_name(path, source_root))}
        assert not names & {"json", "pathlib", "fsspec"}, path.name

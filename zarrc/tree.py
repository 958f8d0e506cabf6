"""The hierarchy below a group, as text and as HTML."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zarrc.array import Array
from zarrc.group_members import check_depth

if TYPE_CHECKING:
    from zarrc.group import Group

__all__ = ["Tree", "group_tree"]

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Branch:
    """One node of the tree.

    Parameters
    ----------
    name : str
        Its last name.
    detail : str
        What to show behind the name: shape and data type of an array.
    branches : tuple of Branch
        What is below it.
    """

    name: str
    detail: str = ""
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """What `Group.tree` returns: text when printed, HTML in a notebook.

    Parameters
    ----------
    root : Branch
        The group.
    cut : bool
        Whether nodes were left out for their number.
    expand : bool
        Whether the HTML is unfolded.
    plain : bool
        Whether the text goes without bold names.
    """

    root: Branch
    cut: bool = False
    expand: bool = True
    plain: bool = True

    def __str__(self) -> str:
        return "\n".join(self._lines(bold=False))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        note = "<p>more nodes are not shown</p>" if self.cut else ""
        return f'<div class="zarrc-tree">{_html(self.root, self.expand)}{note}</div>'

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": "\n".join(self._lines(bold=not self.plain)), "text/html": self._repr_html_()}

    def _lines(self, *, bold: bool) -> Iterator[str]:
        yield _label(self.root, bold)
        yield from _branch_lines(self.root, "", bold)
        if self.cut:
            yield "... (more nodes are not shown; pass max_nodes= or level=)"


def _label(branch: Branch, bold: bool) -> str:
    name = f"{_BOLD}{branch.name}{_PLAIN}" if bold else branch.name
    return f"{name} {branch.detail}".rstrip()


def _branch_lines(parent: Branch, indent: str, bold: bool) -> Iterator[str]:
    for branch in parent.branches:
        last = branch is parent.branches[-1]
        yield f"{indent}{'└── ' if last else '├── '}{_label(branch, bold)}"
        yield from _branch_lines(branch, indent + ("    " if last else "│   "), bold)


def _html(branch: Branch, expand: bool) -> str:
    label = f"<b>{html.escape(branch.name)}</b> {html.escape(branch.detail)}"
    if not branch.branches:
        return f"<div>{label}</div>"
    inner = "".join(f"<li>{_html(one, expand)}</li>" for one in branch.branches)
    return f"<details{' open' if expand else ''}><summary>{label}</summary><ul>{inner}</ul></details>"


def group_tree(
    group: Group,
    *,
    expand: bool | None = None,
    level: int | None = None,
    max_nodes: int = 500,
    plain: bool = False,
) -> Tree:
    """Return the hierarchy below a group; arguments as for `Group.tree`."""
    check_depth("level", level)
    branches, cut = _grow(group, level, max_nodes, itertools.count(1))
    root = Branch(group.name, "", branches)
    return Tree(root, cut, True if expand is None else expand, plain)


def _grow(
    group: Group, level: int | None, max_nodes: int, budget: Iterator[int]
) -> tuple[tuple[Branch, ...], bool]:
    """Return the branches below a group, and whether some were left out."""
    grown: list[Branch] = []
    if level is not None and level <= 0:
        return (), False
    for name, member in group.items():
        if next(budget) > max_nodes:
            return tuple(grown), True
        if isinstance(member, Array):
            grown.append(Branch(name, _array_detail(member)))
            continue
        below, cut = _grow(member, None if level is None else level - 1, max_nodes, budget)
        grown.append(Branch(name, "", below))
        if cut:
            return tuple(grown), True
    return tuple(grown), False


def _array_detail(array: Array) -> str:
    return f"{array.shape} {array.metadata.data_type.name}"

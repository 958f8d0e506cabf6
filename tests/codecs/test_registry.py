"""The table of codecs that load when they are met says what the codecs say."""

from __future__ import annotations

from importlib import import_module

import pytest

from zarrc import codecs
from zarrc.codecs import registry
from zarrc.codecs.base import Codec


@pytest.mark.parametrize("row", registry._OWN, ids=lambda row: str(row[0]))
def test_the_row_of_a_codec_is_true(row: tuple[str, str, tuple[str, ...], str | None]) -> None:
    module, class_name, names, v2_id = row
    cls = getattr(import_module(f"zarrc.codecs.{module}"), class_name)
    assert (cls.name, *cls.aliases) == names
    assert cls.v2_id == v2_id
    assert all(registry.get_codec_class(name) is cls for name in names)
    assert v2_id is None or registry.get_v2_codec_class(v2_id) is cls


def test_every_public_codec_with_a_name_has_a_row() -> None:
    classes = [getattr(codecs, name) for name in codecs.__all__]
    named = {
        cls.__name__
        for cls in classes
        if isinstance(cls, type) and issubclass(cls, Codec) and isinstance(getattr(cls, "name", None), str)
    }
    assert named == {class_name for _, class_name, _, _ in registry._OWN}


def test_known_names_are_sorted_and_load_nothing_twice() -> None:
    known = registry.known_codecs()
    assert list(known) == sorted(known)
    assert {names[0] for _, _, names, _ in registry._OWN} <= set(known)
    assert registry.get_codec_class("zstd") is registry.get_codec_class("numcodecs.zstd")


def test_all_public_names_are_there() -> None:
    assert set(codecs.__all__) <= set(dir(codecs))
    assert all(getattr(codecs, name) is not None for name in codecs.__all__)
    with pytest.raises(AttributeError, match="no attribute 'NoCodec'"):
        _ = codecs.NoCodec  # type: ignore[attr-defined]

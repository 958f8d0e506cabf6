"""Stores by name and by the scheme of a URL, and what is wrong with names and keywords."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import zarrc
from zarrc.errors import MissingExtraError, StoreError
from zarrc.storage import (
    FsspecStore,
    LocalStore,
    MemoryStore,
    Store,
    info,
    make_store,
    names,
    open_named,
    register,
    register_scheme,
    register_store,
    registry,
    store_names,
    unregister,
    unregister_scheme,
)


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("_registered", "_plug_ins", "_schemes"):
        monkeypatch.setattr(registry, table, {})


def test_stores_have_names(tmp_path: Path) -> None:
    assert {"filesystem", "memory", "ets", "s3", "gcs", "azure_blob", "http", "zip", "sqlite"} <= set(names())
    assert names() == sorted(names()) == store_names()
    assert open_named("filesystem", path=tmp_path).local_root == str(tmp_path)
    open_named("ets", table_name="registry").set("x", b"data")
    assert open_named("memory", table_name="registry").get("x") is not None
    assert open_named("memory").get("x") is None
    MemoryStore.forget("registry")


def test_an_unknown_name_lists_the_known_or_the_near() -> None:
    with pytest.raises(StoreError, match=r"no storage named 'tape'; known are .*ets, filesystem"):
        open_named("tape")
    with pytest.raises(StoreError, match="no storage named 'filesytem'; did you mean 'filesystem'"):
        open_named("filesytem")
    with pytest.raises(StoreError, match="no storage named 'tape'"):
        info("tape")


def test_options_of_a_name_are_checked() -> None:
    with pytest.raises(TypeError, match="storage='filesystem' needs path="):
        open_named("filesystem")
    with pytest.raises(TypeError, match="storage='memory' takes no bucket=; it takes table_name="):
        open_named("memory", bucket="x")
    with pytest.raises(TypeError, match="storage='s3' needs bucket="):
        open_named("s3", prefix="x")
    with pytest.raises(TypeError, match="storage='azure_blob' takes no bucket="):
        open_named("azure_blob", bucket="x")


# Registering.


def _sized(*, size: int) -> Store:
    """A store of one object.

    It holds a number.
    """
    return MemoryStore({"size": b"%d" % size})


def test_a_name_can_be_registered_replaced_and_forgotten() -> None:
    assert register(_sized, "mine") is _sized
    register(_sized, "mine")
    assert bytes(open_named("mine", size=3).get("size") or b"") == b"3"
    with pytest.raises(ValueError, match="there is a store named 'mine'"):
        register(MemoryStore, "mine")
    register(MemoryStore, "mine", replace=True)
    assert open_named("mine").get("size") is None
    assert "mine" in names()
    unregister("mine")
    assert "mine" not in names()
    with pytest.raises(KeyError, match="'mine' was registered"):
        unregister("mine")


def test_the_older_spelling_registers_too() -> None:
    register_store("mine", _sized)
    with pytest.raises(ValueError, match="there is a store named 'mine'"):
        register_store("mine", MemoryStore)
    assert open_named("mine", size=1).get("size") is not None


def test_a_class_of_stores_can_be_decorated(tmp_path: Path) -> None:
    class Below(LocalStore):
        def __init__(self, *, below: str) -> None:
            super().__init__(tmp_path / below)

    register(Below, name="below")
    made = zarrc.create((3,), dtype="i4", storage="below", below="a", fill_value=7)
    assert made.store.local_root == str(tmp_path / "a")
    assert zarrc.open(storage="below", below="a")[0] == 7
    with pytest.raises(
        TypeError, match=r"bellow= is no keyword .*storage='below', which takes below=.*'below'"
    ):
        zarrc.open(storage="below", bellow="a")


def test_a_built_in_name_is_replaced_only_on_demand_and_comes_back() -> None:
    with pytest.raises(ValueError, match="there is a store named 'memory'"):
        register(_sized, "memory")
    register(_sized, "memory", replace=True)
    assert info("memory").origin == "registered"
    unregister("memory")
    assert info("memory").origin == "built in"
    with pytest.raises(KeyError, match="built in"):
        unregister("memory")


@pytest.mark.parametrize(("target", "name"), [(_sized, None), (3, "x"), (_sized, ""), (_sized, 3)])
def test_what_cannot_be_registered_is_told(target: Any, name: Any) -> None:
    with pytest.raises(TypeError):
        register(target, name)


def test_what_makes_no_store_is_told() -> None:
    register(dict, "mapping")
    with pytest.raises(TypeError, match="registered as 'mapping' gave no Store but a dict"):
        open_named("mapping")


def test_info_says_what_a_name_is() -> None:
    register(_sized, "mine")
    mine = info("mine")
    assert (mine.name, mine.origin, mine.target) == ("mine", "registered", _sized)
    assert (mine.keywords, mine.required, mine.doc) == (("size",), ("size",), "A store of one object.")
    assert str(mine) == "storage='mine' (registered; takes size=): A store of one object."
    s3 = info("s3")
    assert s3.required == ("bucket",)
    assert {"prefix", "endpoint_url", "region", "key", "secret", "token", "anon"} <= set(s3.keywords or ())
    for name in names():
        assert info(name).doc, name
    register(lambda **_: MemoryStore(), "any")
    assert info("any").keywords is None
    assert "takes any keywords" in str(info("any"))


# Packages that bring stores.


@pytest.fixture
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which packages with entry points are installed."""
    (tmp_path / "tape_store.py").write_text(
        "from zarrc.storage import MemoryStore\n"
        "loaded = True\n"
        "class TapeStore(MemoryStore):\n"
        "    '''A tape.'''\n"
        "    def __init__(self, *, reel='a'):\n"
        "        super().__init__(name='tape ' + reel)\n"
        "number = 3\n"
    )
    (tmp_path / "broken_store.py").write_text("raise RuntimeError('no driver on this machine')\n")
    for package, points in {
        "tape": "tape = tape_store:TapeStore\nnumber = tape_store:number\ntwice = tape_store:TapeStore\n",
        "broken": "broken = broken_store:Store\ngone = no_such_module:Store\ntwice = broken_store:Store\n",
    }.items():
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[zarrc.stores]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    for module in ("tape_store", "broken_store"):
        sys.modules.pop(module, None)
    for reel in ("a", "b"):
        MemoryStore.forget(f"tape {reel}")


def test_an_entry_point_is_a_name_and_is_loaded_when_it_is_used(plug_ins: Path) -> None:
    assert {"tape", "broken"} <= set(names())
    assert "tape_store" not in sys.modules
    zarrc.create((2,), dtype="i4", storage="tape", reel="b", fill_value=5)
    assert zarrc.open(storage="tape", reel="b")[0] == 5
    assert info("tape").origin == "entry point"
    assert info("tape").keywords == ("reel",)


def test_a_broken_plug_in_fails_only_where_it_is_used(plug_ins: Path) -> None:
    assert open_named("memory") is not None
    with pytest.raises(
        StoreError, match=r"broken_store:Store of the package broken.*no driver on this machine"
    ):
        open_named("broken")
    with pytest.raises(StoreError, match=r"'gone'.*cannot be loaded: ModuleNotFoundError"):
        info("gone")
    with pytest.raises(StoreError, match=r"'number'.*no Backend, Store or function but a int"):
        open_named("number")
    with pytest.raises(StoreError, match=r"several packages have a storage named 'twice'"):
        open_named("twice")


def test_what_is_registered_comes_before_a_plug_in(plug_ins: Path) -> None:
    register(_sized, "tape")
    assert info("tape").origin == "registered"


# Schemes.


def test_a_scheme_can_be_registered_and_forgotten() -> None:
    asked: list[tuple[str, Mapping[str, Any], bool]] = []

    def tape(url: str, *, storage_options: Mapping[str, Any], read_only: bool) -> Store:
        asked.append((url, storage_options, read_only))
        return MemoryStore(read_only=read_only)

    register_scheme("tape", tape)
    assert type(make_store("tape://reel/1")[0]) is MemoryStore
    assert make_store("tape://reel/1", mode="r", storage_options={"speed": 2})[0].read_only
    assert asked == [("tape://reel/1", {}, False), ("tape://reel/1", {"speed": 2}, True)]
    with pytest.raises(ValueError, match="'tape' has a store already"):
        register_scheme("tape", _sized)
    with pytest.raises(ValueError, match="'sqlite' has a store already"):
        register_scheme("sqlite", _sized)
    for wrong in ("T", "Tape", "", "1x", "ä"):
        with pytest.raises(ValueError, match="a scheme has"):
            register_scheme(wrong, tape)
    unregister_scheme("tape")
    with pytest.raises(KeyError):
        unregister_scheme("tape")
    with pytest.raises(StoreError):
        make_store("tape://reel/1")


# Clouds, as far as no server is asked.

SECRET = "hunter2-very-secret"


def test_s3_by_keywords_is_a_place_in_a_bucket() -> None:
    pytest.importorskip("s3fs")
    keywords = {"endpoint_url": "http://127.0.0.1:9", "key": "k", "secret": SECRET, "region": "eu-north-1"}
    store = open_named("s3", bucket="my-data-bucket", prefix="arrays/experiment_001/", **keywords)
    assert isinstance(store, FsspecStore)
    assert store.path == "my-data-bucket/arrays/experiment_001"
    assert store.fs.endpoint_url == "http://127.0.0.1:9"
    assert store.fs.client_kwargs["region_name"] == "eu-north-1"
    again = open_named("s3", bucket="my-data-bucket", path="arrays/experiment_001", **keywords)
    assert again.identity == store.identity
    root = open_named("s3", bucket="my-data-bucket", **keywords)
    assert isinstance(root, FsspecStore)
    assert root.path == "my-data-bucket"
    for text in (repr(store), str(store), repr(store.identity)):
        assert SECRET not in text


def test_s3_takes_options_of_the_file_system_beside_keywords() -> None:
    pytest.importorskip("s3fs")
    more = {"client_kwargs": {"verify": False}, "config_kwargs": {"max_pool_connections": 9}}
    store = open_named("s3", bucket="b", key="k", secret=SECRET, region="r", storage_options=more)
    assert isinstance(store, FsspecStore)
    assert store.fs.client_kwargs == {"verify": False, "region_name": "r"}
    assert store.fs.config_kwargs["max_pool_connections"] == 9
    with pytest.raises(TypeError, match="'secret' is said by a keyword and by storage_options") as caught:
        open_named("s3", bucket="b", secret=SECRET, storage_options={"secret": "other"})
    assert SECRET not in str(caught.value)
    with pytest.raises(TypeError, match="'region_name' is said"):
        open_named("s3", bucket="b", region="r", storage_options={"client_kwargs": {"region_name": "s"}})


@pytest.mark.parametrize("bucket", ["", "a/b", "s3://a", "a?b", 3])
def test_a_bucket_is_a_name(bucket: Any) -> None:
    with pytest.raises(StoreError, match="bucket= is the name of one bucket"):
        open_named("s3", bucket=bucket)


def test_a_prefix_is_a_legal_key_and_is_said_once() -> None:
    for prefix in ("../x", "a//b"):
        with pytest.raises(StoreError, match="not a legal key"):
            open_named("gcs", bucket="b", prefix=prefix)
    with pytest.raises(StoreError, match="chain of URLs"):
        open_named("gcs", bucket="b", prefix="a::b")
    with pytest.raises(TypeError, match="path= means prefix= in a container"):
        open_named("azure_blob", container="c", prefix="a", path="b")


def test_gcs_credentials_are_a_file_a_dict_or_an_object(tmp_path: Path) -> None:
    pytest.importorskip("gcsfs")
    with pytest.raises(StoreError, match="a file that is not there"):
        open_named("gcs", bucket="b", credentials=str(tmp_path / "no.json"))
    with pytest.raises(TypeError, match="either credentials= or anon=True"):
        open_named("gcs", bucket="b", credentials={"type": "x"}, anon=True)
    store = open_named("gcs", bucket="my-gcs-bucket", prefix="data/arrays", anon=True, project="p")
    assert isinstance(store, FsspecStore)
    assert store.path == "my-gcs-bucket/data/arrays"
    assert store.fs.project == "p"


def test_http_by_keywords_is_a_url() -> None:
    pytest.importorskip("aiohttp")
    store = open_named("http", url="http://127.0.0.1:9/data")
    assert isinstance(store, FsspecStore)
    with pytest.raises(StoreError, match="http://"):
        open_named("http", url="ftp://x/y")


def test_a_missing_package_names_the_extra(child_environment: dict[str, str]) -> None:
    program = (
        "import sys\n"
        "for name in ('s3fs', 'gcsfs', 'adlfs', 'aiohttp'):\n"
        "    sys.modules[name] = None\n"
        "import zarrc\n"
        "asked = {'s3': dict(bucket='b'), 'gcs': dict(bucket='b'), 'azure_blob': dict(container='c'),\n"
        "         'http': dict(url='http://127.0.0.1:9/x')}\n"
        "for storage, keywords in asked.items():\n"
        "    try:\n"
        "        zarrc.create((3,), storage=storage, **keywords)\n"
        "    except zarrc.errors.MissingExtraError as error:\n"
        "        print(storage, str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=child_environment, check=True, capture_output=True, text=True
    )
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    wanted = {"s3": "zarrc[s3]", "gcs": "zarrc[gcs]", "azure_blob": "zarrc[azure]", "http": "zarrc[http]"}
    assert {name: extra for name, extra in wanted.items() if extra in lines.get(name, "")} == wanted
    assert MissingExtraError is zarrc.errors.MissingExtraError


# Through the functions.


def test_keywords_of_a_store_without_storage_name_the_stores() -> None:
    with pytest.raises(
        TypeError, match=r"create\(\) takes bucket= together with storage='s3' or storage='gcs' only"
    ):
        zarrc.create((3,), bucket="x")
    with pytest.raises(TypeError, match=r"open\(\) takes container= together with storage='azure_blob' only"):
        zarrc.open("place", container="x")


def test_storage_options_go_to_the_store_that_takes_them() -> None:
    with pytest.raises(TypeError, match="storage_options= is no keyword of an array or of storage='memory'"):
        zarrc.create((3,), storage="memory", storage_options={"x": 1})


def test_modes_hold_for_named_stores(tmp_path: Path) -> None:
    zarrc.create((3,), storage="filesystem", path=str(tmp_path / "a"))
    read = zarrc.open(storage="filesystem", path=str(tmp_path / "a"), mode="r")
    assert read.store.read_only
    with pytest.raises(zarrc.errors.ContainsNodeError):
        zarrc.create((3,), storage="filesystem", path=str(tmp_path / "a"))
    zarrc.create((4,), storage="filesystem", path=str(tmp_path / "a"), overwrite=True)
    assert zarrc.open_array(storage="filesystem", path=str(tmp_path / "a")).shape == (4,)


def test_a_name_is_a_text_in_small_letters() -> None:
    with pytest.raises(StoreError, match=r"no storage named 'S3'; did you mean 's3'"):
        zarrc.open(storage="S3", bucket="b")
    for name in (5, {"s3": 1}):
        with pytest.raises(TypeError, match="storage= is a name"):
            zarrc.open(storage=name)  # type: ignore[arg-type]


def test_a_prefix_starts_without_a_slash() -> None:
    with pytest.raises(StoreError, match="a prefix in a bucket starts without a slash: 'runs/x'"):
        open_named("s3", bucket="b", prefix="/runs/x/")

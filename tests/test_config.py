"""Settings: names, values, the environment, threads and tasks."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import zarrc
from zarrc.config import ArrayConfig, Config, parse_array_config
from zarrc.errors import UnknownSettingError, ZarrcError, ZarrcWarning


@pytest.fixture
def config() -> Config:
    return Config(environ={})


def test_every_setting_has_its_documented_default(config: Config) -> None:
    assert config.defaults == {
        "array.cache_nbytes": 0,
        "array.casting": "checked",
        "array.locking": "thread",
        "array.order": "C",
        "array.read_missing_chunks": True,
        "array.shard_index": "cache",
        "array.shard_index_cache_nbytes": 32 * 2**20,
        "array.shard_update": "rewrite",
        "array.sharding_coalesce_max_bytes": None,
        "array.sharding_coalesce_max_gap_bytes": None,
        "array.target_chunk_size_bytes": None,
        "array.target_shard_size_bytes": None,
        "array.write_empty_chunks": False,
        "default_zarr_format": 3,
        "json_indent": 2,
        "storage.durable": False,
        "storage.lock": "auto",
        "storage.lock_timeout": 60.0,
        "storage.max_requests": 64,
        "storage.max_requests_per_process": 256,
        "storage.retries": 5,
        "storage.retry_delay": 0.1,
        "storage.retry_max_delay": 10.0,
        "storage.timeout": 300.0,
        "storage.transaction_lease": 30.0,
        "threading.max_workers": None,
    }
    assert {key: config.get(key) for key in config.defaults} == config.defaults


def test_a_prefix_gives_the_settings_below_it(config: Config) -> None:
    assert config.get("threading") == {"max_workers": None}


def test_an_unknown_setting_is_a_key_error_with_close_names(config: Config) -> None:
    with pytest.raises(KeyError, match=r"unknown setting 'array.ordr'; did you mean 'array.order'"):
        config.get("array.ordr")
    with pytest.raises(KeyError, match=r"did you mean 'json_indent'"):
        config.set({"json_indnt": 2})


def test_the_error_of_an_unknown_setting_is_one_of_ours_and_pickles(config: Config) -> None:
    with pytest.raises(UnknownSettingError) as caught:
        config.set(order="F")
    assert isinstance(caught.value, ZarrcError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(UnknownSettingError, match="unknown array option"):
        parse_array_config({"ordr": "F"})


def test_an_unknown_setting_can_have_a_default(config: Config) -> None:
    assert config.get("no.such", 5) == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("default_zarr_format", 4),
        ("default_zarr_format", "3"),
        ("array.order", "K"),
        ("array.write_empty_chunks", 1),
        ("array.cache_nbytes", -1),
        ("array.cache_nbytes", None),
        ("array.casting", "sometimes"),
        ("array.locking", "process"),
        ("array.shard_index", True),
        ("array.shard_index_cache_nbytes", None),
        ("array.shard_index_cache_nbytes", -1),
        ("array.shard_update", "overwrite"),
        ("array.sharding_coalesce_max_bytes", -1),
        ("array.sharding_coalesce_max_gap_bytes", 1.5),
        ("array.target_shard_size_bytes", 0),
        ("storage.max_requests", 0),
        ("storage.retries", -1),
        ("storage.retry_delay", 0),
        ("storage.retry_delay", None),
        ("storage.timeout", float("nan")),
        ("storage.timeout", float("inf")),
        ("storage.timeout", True),
        ("threading.max_workers", 0),
        ("threading.max_workers", True),
        ("json_indent", -1),
    ],
)
def test_a_value_that_a_setting_does_not_allow_is_refused_and_named(
    config: Config, key: str, value: object
) -> None:
    with pytest.raises(ValueError, match=key):
        config.set({key: value})
    assert config.get(key) == config.defaults[key]


def test_one_wrong_setting_changes_none(config: Config) -> None:
    with pytest.raises(ValueError, match="json_indent"):
        config.set({"array.order": "F", "json_indent": "wide"})
    assert config.get("array.order") == "C"


def test_set_as_a_statement_lasts(config: Config) -> None:
    config.set({"array": {"order": "F"}}, json_indent=None)
    assert (config.get("array.order"), config.get("json_indent")) == ("F", None)
    config.reset()
    assert (config.get("array.order"), config.get("json_indent")) == ("C", 2)


def test_set_in_a_with_statement_lasts_for_the_block(config: Config) -> None:
    config.set({"array.order": "F"})
    with config.set({"array.order": "C"}), config.set(array__write_empty_chunks=True):
        assert config.get("array") == {
            "cache_nbytes": 0,
            "casting": "checked",
            "locking": "thread",
            "order": "C",
            "read_missing_chunks": True,
            "shard_index": "cache",
            "shard_index_cache_nbytes": 33554432,
            "shard_update": "rewrite",
            "sharding_coalesce_max_bytes": None,
            "sharding_coalesce_max_gap_bytes": None,
            "target_chunk_size_bytes": None,
            "target_shard_size_bytes": None,
            "write_empty_chunks": True,
        }
    assert config.get("array.order") == "F"
    assert config.get("array.write_empty_chunks") is False


def test_a_with_block_ends_on_an_error_too(config: Config) -> None:
    with pytest.raises(RuntimeError), config.set({"json_indent": 8}):
        raise RuntimeError
    assert config.get("json_indent") == 2


def test_a_with_block_is_not_seen_by_other_threads(config: Config) -> None:
    seen = []
    with config.set({"json_indent": 8}):
        thread = threading.Thread(target=lambda: seen.append(config.get("json_indent")))
        thread.start()
        thread.join()
    assert seen == [2]


def test_a_statement_is_seen_by_other_threads(config: Config) -> None:
    seen = []
    config.set({"json_indent": 8})
    thread = threading.Thread(target=lambda: seen.append(config.get("json_indent")))
    thread.start()
    thread.join()
    assert seen == [8]


def test_tasks_that_overlap_keep_their_own_settings(config: Config) -> None:
    async def task(indent: int) -> list[int]:
        seen = []
        with config.set({"json_indent": indent}):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(config.get("json_indent"))
        return seen

    async def both() -> list[list[int]]:
        return await asyncio.gather(task(4), task(6))

    assert asyncio.run(both()) == [[4] * 3, [6] * 3]
    assert config.get("json_indent") == 2


def test_environment_variables_set_the_start() -> None:
    config = Config(
        environ={
            "ZARRC_ARRAY__ORDER": "F",
            "ZARRC_ARRAY__WRITE_EMPTY_CHUNKS": "True",
            "ZARRC_DEFAULT_ZARR_FORMAT": "2",
            "ZARRC_JSON_INDENT": "null",
            "ZARRC_THREADING__MAX_WORKERS": "3",
            "ZARRC_NUM_THREADS": "5",
            "OTHER__THING": "1",
        }
    )
    assert config.get("array.order") == "F"
    assert config.get("array.write_empty_chunks") is True
    assert config.get("default_zarr_format") == 2
    assert config.get("json_indent") is None
    assert config.get("threading.max_workers") == 3


@pytest.mark.parametrize(
    ("variable", "value"), [("ZARRC_ARRAY__ORDR", "F"), ("ZARRC_THREADING__MAX_WORKERS", "many")]
)
def test_a_wrong_environment_variable_is_a_warning_that_names_it(variable: str, value: str) -> None:
    with pytest.warns(ZarrcWarning, match=variable):
        config = Config(environ={variable: value})
    assert {key: config.get(key) for key in config.defaults} == config.defaults


def test_the_library_reads_the_environment(child_environment: dict[str, str]) -> None:
    program = "import zarrc; print(zarrc.create((3,)).metadata.zarr_format)"
    environment = child_environment | {"ZARRC_DEFAULT_ZARR_FORMAT": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "2\n"


def test_array_options_come_from_the_settings_and_are_completed() -> None:
    with zarrc.config.set({"array.write_empty_chunks": True}):
        assert parse_array_config({"order": "F"}) == ArrayConfig(order="F", write_empty_chunks=True)
    assert parse_array_config(None) == ArrayConfig()
    assert parse_array_config({"casting": "unsafe"}, ArrayConfig(order="F")) == ArrayConfig(
        "F", casting="unsafe"
    )


def test_an_unknown_array_option_is_a_key_error_with_close_names() -> None:
    with pytest.raises(KeyError, match=r"unknown array option 'write_empty'.*write_empty_chunks"):
        parse_array_config({"write_empty": True})


def test_array_options_check_their_values_pickle_and_hash() -> None:
    with pytest.raises(ValueError, match=r"array.order.*'K'"):
        ArrayConfig(order="K")  # type: ignore[arg-type]
    option = ArrayConfig(order="F", casting="same_kind")
    assert pickle.loads(pickle.dumps(option)) == option
    assert len({option, ArrayConfig(order="F", casting="same_kind")}) == 1


def test_documents_are_indented_as_the_settings_say() -> None:
    with zarrc.config.set({"json_indent": None}):
        store = zarrc.create_group().store
        document = store.get("zarr.json")
    assert document is not None
    assert b"\n" not in bytes(document).strip()


def test_an_array_takes_the_settings_that_hold_when_it_is_opened() -> None:
    """Settings of arrays are kept between opens: no change is missed, in the process or in a block."""
    store: dict[str, bytes] = {}
    zarrc.create_array(store, shape=3)
    orders = [zarrc.open_array(store).order]
    with zarrc.config.set({"array.order": "F"}):
        orders.append(zarrc.open_array(store).order)
        with ThreadPoolExecutor(1) as pool:
            orders.append(pool.submit(lambda: zarrc.open_array(store).order).result())
    orders.append(zarrc.open_array(store).order)
    zarrc.config.set({"array.order": "F"})
    orders.append(zarrc.open_array(store).order)
    zarrc.config.refresh({})
    orders.append(zarrc.open_array(store).order)
    assert orders == ["C", "F", "C", "C", "F", "C"]

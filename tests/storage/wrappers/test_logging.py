"""What is logged, and what is not."""

from __future__ import annotations

import logging
import pickle

import pytest

from zarrc.errors import StoreError
from zarrc.storage import FsspecStore, LoggingStore, MemoryStore


@pytest.fixture
def store(caplog: pytest.LogCaptureFixture) -> LoggingStore:
    caplog.set_level(logging.DEBUG, "zarrc.store")
    return LoggingStore(MemoryStore())


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage().rpartition(" in ")[0] or record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_each_operation_is_a_record(store: LoggingStore, caplog: pytest.LogCaptureFixture) -> None:
    store.set("a/x", b"12345")
    store.get("a/x")
    store.get("a/x", (1, 2))
    store.get("none")
    store.stat("a/x")
    list(store.get_many([("a/x", (-1, None)), ("none", None)]))
    store.delete("a/x")
    list(store.list_prefix("a"))
    assert texts(caplog) == [
        "set 'a/x': 5 bytes",
        "get 'a/x': 5 bytes",
        "get (1, 2) 'a/x': 2 bytes",
        "get 'none': is absent",
        "stat 'a/x': done",
        "get (-1, None) 'a/x': 1 bytes",
        "get 'none': is absent",
        "delete 'a/x': done",
        "list 'a': 0 keys",
    ]


def test_a_batch_of_writes_is_a_record_each_and_one(
    store: LoggingStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.set_many([("x", b"1"), ("y", b"22")])
    assert [record.getMessage() for record in caplog.records][:2] == [
        "set 'x' 1 bytes, in a batch",
        "set 'y' 2 bytes, in a batch",
    ]
    assert texts(caplog)[2] == "set a batch of 2: 3 bytes"


def test_records_carry_their_facts(store: LoggingStore, caplog: pytest.LogCaptureFixture) -> None:
    store.set("x", b"123")
    (record,) = caplog.records
    assert (record.operation, record.key, record.nbytes) == ("set", "x", 3)  # type: ignore[attr-defined]
    assert 0 < record.seconds < 10  # type: ignore[attr-defined]
    assert (record.name, record.levelno) == ("zarrc.store", logging.DEBUG)


def test_failures_are_warnings(store: LoggingStore, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoreError):
        store.get("..")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "failed: StoreError: not a legal key" in record.getMessage()


def test_a_key_cannot_pass_for_a_record(store: LoggingStore, caplog: pytest.LogCaptureFixture) -> None:
    store.set("x\nERROR root: all is lost", b"")
    assert "\n" not in caplog.text.rstrip("\n")


def test_logger_and_level_can_be_chosen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mine")
    quiet = LoggingStore(MemoryStore(), logger="mine")
    loud = LoggingStore(MemoryStore(), logger=logging.getLogger("mine"), level="info")
    for store in (quiet, loud, pickle.loads(pickle.dumps(loud))):
        store.set("x", b"1")
        store.set_many([("y", b"1")])
    assert {(record.name, record.levelno) for record in caplog.records} == {("mine", logging.INFO)}
    assert len(caplog.records) == 6
    with pytest.raises(ValueError, match="no level"):
        LoggingStore(MemoryStore(), level="loud")


def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = "http://user:hunter2@127.0.0.1:9/x?sig=hunter2"
    pytest.importorskip("aiohttp")
    store = LoggingStore(FsspecStore.from_url(url))
    with zarr_settings(), pytest.raises(StoreError):
        store.get("x")
    assert caplog.records
    assert "hunter2" not in caplog.text
    assert "hunter2" not in str(store) + repr(store)


def zarr_settings():  # type: ignore[no-untyped-def]
    import zarrc

    return zarrc.config.set({"storage.retries": 0})

"""What a store asks of a driver that is more than one of its requests."""

from __future__ import annotations

from zarrc.errors import StoreError
from zarrc.kernels.blob import resolve_range
from zarrc.storage.remote.driver import Driver
from zarrc.storage.remote.failures import is_absence, is_passing
from zarrc.storage.remote.outcomes import Answer, Broken, Conflict, Outside, Refused

__all__ = ["copy", "delete", "head_of_range", "put", "put_if", "read_suffix", "read_to_end"]

# A part of the last bytes of an object is cut from all of them, if no more than this is thrown away.
_WASTE_NBYTES = 2**16

# How often an object may change between a look at its size and the read of its last bytes.
_CHANGES = 3


async def head_of_range(driver: Driver, path: str, start: int, nbytes: int | None) -> Answer:
    """The answer for a range that holds no bytes, or leaves the object: no request can ask for it."""
    found = await driver.head(path)
    try:
        length = resolve_range(start, nbytes, found.nbytes)[1]
    except (StoreError, OverflowError):
        raise Outside(found.nbytes) from None
    if length:
        raise Broken(f"no bytes came for a range of {length}")
    return Answer(b"", found.version, found.nbytes)


async def read_to_end(driver: Driver, path: str, start: int, most: int | None) -> Answer:
    """The object from a byte on, which may be its end."""
    try:
        return await driver.get(path, start, None, most)
    except Exception as error:
        told = driver.failure(error)
        if not isinstance(told, Outside):
            raise
        nbytes = told.object_nbytes
    if nbytes == start:
        return Answer(b"", None, nbytes)
    if nbytes is None:
        return await head_of_range(driver, path, start, None)
    raise Outside(nbytes)


async def read_suffix(
    driver: Driver, path: str, suffix_nbytes: int, nbytes: int | None, most: int | None
) -> Answer:
    """The last bytes of an object, or the first ``nbytes`` of these."""
    if nbytes is not None and nbytes > suffix_nbytes:
        return await head_of_range(driver, path, -suffix_nbytes, nbytes)
    due = suffix_nbytes if nbytes is None else nbytes
    if driver.suffix_ranges and suffix_nbytes - due <= _WASTE_NBYTES:
        answer = await driver.get(path, -suffix_nbytes, None, most)
        return answer if nbytes is None else answer._replace(data=answer.data[:nbytes])
    for _ in range(_CHANGES):
        found = await driver.head(path)
        if found.nbytes < suffix_nbytes:
            raise Outside(found.nbytes)
        try:
            answer = await driver.get(path, found.nbytes - suffix_nbytes, due, most)
        except Exception as error:
            if not isinstance(driver.failure(error), Outside):
                raise
            continue  # it became shorter since
        same_size = answer.object_nbytes in (None, found.nbytes)
        if same_size and (answer.version is None or not driver.versions or answer.version == found.version):
            return answer
    raise Broken("the object changes all the time")


async def put(driver: Driver, path: str, data: bytes, condition: str | None = None) -> str | None:
    """Write an object. That something is not found then is no absent object, but a bucket."""
    try:
        version = await driver.put(path, data, condition)
    except Exception as error:
        told = driver.failure(error)
        if is_absence(told):
            raise _no_place(told) from error
        raise
    driver.changed(path)
    return version


def _no_place(told: BaseException) -> Refused:
    said = f" ({type(told).__name__}: {told})" if str(told) else ""
    return Refused(404, message=f"what is to be written to, a bucket or container, is not there{said}")


async def put_if(driver: Driver, path: str, data: bytes, condition: str, tried: list[bool]) -> str | None:
    """Write an object if the service finds that the condition holds.

    Parameters
    ----------
    driver : Driver
        One that is `conditional`.
    path, data, condition
        As for `Driver.put`.
    tried : list
        Empty; the same one when it is tried again. The first try may have got through though its answer did
        not: an object that is ours byte for byte then is no conflict.
    """
    is_again = bool(tried)
    tried.append(True)
    try:
        version = await driver.put(path, data, condition)
    except Exception as error:
        told = driver.failure(error)
        if is_absence(told):
            # With a version: the object is gone. To create: there is no such bucket.
            if condition:
                raise Conflict from error
            raise _no_place(told) from error
        if not isinstance(told, Conflict) or not (is_again or told.retried):
            raise
        conflict = error
    else:
        driver.changed(path)
        return version
    try:
        answer = await driver.get(path, None, None, len(data))
    except Exception as error:
        if is_passing(driver.failure(error)):
            raise  # nobody knows yet whose it is
        raise conflict from None
    if answer.data != data:
        raise conflict
    return answer.version


async def copy(driver: Driver, source: str, target: str) -> bool:
    """Copy an object, at the service where it can do that; True, since None would say that it is absent."""
    if source == target:  # which some services refuse
        await driver.head(source)
        return True
    if driver.copies:
        await driver.copy(source, target)
    else:
        answer = await driver.get(source, None, None, None)
        await put(driver, target, answer.data)
    driver.changed(target)
    return True


async def delete(driver: Driver, paths: list[str]) -> None:
    """Delete objects: one, or as many as the service deletes by one request."""
    if len(paths) == 1:
        await driver.delete(paths[0])
    else:
        await driver.delete_many(paths)
    for path in paths:
        driver.changed(path)

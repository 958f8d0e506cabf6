"""Import two climate files, look at them, slice them, draw them: what ``make demo`` runs.

The files come with the package iris-sample-data: yearly air temperature over North America from a climate
model (A1B scenario, 1860 to 2099), and monthly sea surface temperature around the equator (OSTIA).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cftime
import h5py
import iris_sample_data
import matplotlib
import numpy as np

import zarrc

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FILES = Path(iris_sample_data.path)
OUT = Path(__file__).resolve().parent.parent / "build" / "demo"
ZERO_CELSIUS = 273.15


@dataclass(frozen=True)
class Subject:
    """What to take from one file: a variable, a time step, and the grid point nearest to a place."""

    file: str
    variable: str
    step: int
    place: str
    latitude: float
    longitude: float
    step_format: str
    what: str


SUBJECTS = (
    Subject(
        "A1B_north_america.nc",
        "air_temperature",
        -1,
        "Denver",
        39.7,
        255.0,
        "%Y",
        "Air temperature (A1B), mean of",
    ),
    Subject(
        "ostia_monthly.nc",
        "surface_temperature",
        -6,
        "Niño 3.4",
        0.3,
        215.0,
        "%B %Y",
        "Sea surface temperature (OSTIA), mean of",
    ),
)


def main() -> None:
    """Run the demonstration."""
    began = time.perf_counter()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    figure = plt.figure(figsize=(14, 9), layout="constrained")
    for row, subject in enumerate(SUBJECTS):
        source, store = FILES / subject.file, OUT / Path(subject.file).with_suffix(".zarr").name
        run("import", source, store)
        run("info", store / subject.variable)
        show(subject, source, store, figure, row)
    run("tree", OUT / "A1B_north_america.zarr")
    picture = OUT / "demo.png"
    figure.savefig(picture, dpi=110)
    print(f"\npicture: {picture}\nall of it took {time.perf_counter() - began:.1f} s")


def run(*arguments: object) -> None:
    """Run the zarrc command, as it would be typed."""
    words = [str(argument) for argument in arguments]
    print("\n$ zarrc", *words, flush=True)
    # The installed command: "python -m" would take a zarrc folder in the current directory instead.
    command = Path(sysconfig.get_path("scripts")) / "zarrc"
    subprocess.run([command, *words], check=True)


def show(subject: Subject, source: Path, store: Path, figure: Any, row: int) -> None:
    """Slice the imported group, compare with the file, draw."""
    group = zarrc.open_group(store, mode="r")
    latitude, longitude = group["latitude"][:], group["longitude"][:]
    y = int(np.abs(latitude - subject.latitude).argmin())
    x = int(np.abs(longitude - subject.longitude).argmin())
    array = group[subject.variable]

    began = time.perf_counter()
    step = array[subject.step]
    step_s = time.perf_counter() - began
    began = time.perf_counter()
    series = array[:, y, x]
    series_s = time.perf_counter() - began

    with h5py.File(source) as file:
        same_step = np.array_equal(step, file[subject.variable][array.shape[0] + subject.step])
        same_series = np.array_equal(series, file[subject.variable][:, y, x])
    name = subject.variable
    print(f"\n{name}[{subject.step}]: {step.shape}, {step_s * 1e3:.2f} ms, as in the file: {same_step}")
    print(f"{name}[:, {y}, {x}]: {series.shape}, {series_s * 1e3:.2f} ms, as in the file: {same_series}")
    print(f"on disk: {disk_nbytes(store):,} bytes (the file has {source.stat().st_size:,})")
    if not (same_step and same_series):
        sys.exit("the imported values are not those of the file")

    dates = cftime.num2date(group["time"][:], group["time"].attrs["units"], group["time"].attrs["calendar"])
    draw_map(subject, figure, row, longitude, latitude, celsius(array, step), dates[subject.step], (y, x))
    draw_series(subject, figure, row, dates, celsius(array, series), (latitude[y], longitude[x]))


def celsius(array: zarrc.Array, kelvin: np.ndarray) -> np.ndarray:
    """Degrees Celsius; NaN where the fill value says that nothing was measured."""
    if "_FillValue" in array.attrs:
        kelvin = np.where(kelvin == array.fill_value, np.nan, kelvin)
    return kelvin - ZERO_CELSIUS


def disk_nbytes(store: Path) -> int:
    """Bytes of every file of the store, metadata included."""
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file())


def draw_map(
    subject: Subject,
    figure: Any,
    row: int,
    longitude: np.ndarray,
    latitude: np.ndarray,
    values: np.ndarray,
    date: Any,
    point: tuple[int, int],
) -> None:
    """Draw one time step on its longitudes and latitudes, with the grid point marked."""
    axes = figure.add_subplot(2, 2, 2 * row + 1)
    axes.set_facecolor("lightgrey")  # land, where the file says that there is no value
    mesh = axes.pcolormesh(longitude, latitude, values, cmap="turbo", shading="nearest")
    figure.colorbar(mesh, ax=axes, label="temperature (°C)")
    axes.plot(longitude[point[1]], latitude[point[0]], "k^", markersize=9, markerfacecolor="white")
    axes.annotate(
        subject.place, (longitude[point[1]], latitude[point[0]]), xytext=(8, 6), textcoords="offset points"
    )
    axes.set(
        title=f"{subject.what} {date.strftime(subject.step_format)}",
        xlabel="longitude (degrees east)",
        ylabel="latitude (degrees north)",
    )


def draw_series(
    subject: Subject,
    figure: Any,
    row: int,
    dates: np.ndarray,
    values: np.ndarray,
    where: tuple[float, float],
) -> None:
    """Draw the time series of one grid point."""
    axes = figure.add_subplot(2, 2, 2 * row + 2)
    axes.plot([date.year + (date.month - 0.5) / 12 for date in dates], values, linewidth=1.2)
    axes.set(
        title=f"Grid point nearest to {subject.place} ({degrees(where[0])}, {where[1]:.1f}° E)",
        xlabel="year",
        ylabel="temperature (°C)",
    )
    axes.grid(alpha=0.3)


def degrees(latitude: float) -> str:
    """A latitude as people write it."""
    return f"{abs(latitude):.1f}° {'N' if latitude >= 0 else 'S'}"


if __name__ == "__main__":
    main()

"""A picture of one series: values, the band that the detector called normal, alerts, labelled faults (SVG or PNG).

Needs matplotlib, the extra `plots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel.errors import PermanentError
from sentinel.series import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png")
"""Endings of the file that `plot_series` can write."""

_VALUE, _BAND, _ALERT, _LABEL = "#1f4e79", "#9ecae1", "#c0392b", "#f5c542"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPlot:
    """What to draw. Times are seconds since the epoch, shown in UTC; `values[i]` was measured at `times[i]`.

    `low[i]` and `high[i]` are the band at `times[i]` (NaN leaves a gap; empty draws none). `alerts` are spans from the
    onset to the resolution, `labelled` the faults as people marked them.
    """

    title: str
    unit: str
    times: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    alerts: Sequence[Window] = ()
    labelled: Sequence[Window] = ()


def plot_series(plot: SeriesPlot, path: Path) -> None:
    """Write the picture; the ending of `path` chooses SVG or PNG. The same plot gives the same bytes on one machine.

    Raises `PermanentError` when matplotlib is missing, when the ending is another one, or when lengths do not match.
    """
    if path.suffix not in FORMATS:
        raise PermanentError(f"{path}: a plot is written as {' or '.join(FORMATS)}, not {path.suffix or 'no ending'!r}")
    _check_lengths(plot)
    try:
        # Imported here because plots are an extra, and because it takes half a second.
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise PermanentError("plots need matplotlib: pip install 'aiops-sentinel[plots]'") from error
    with mpl.rc_context({"svg.hashsalt": "sentinel", "svg.fonttype": "none", "timezone": "UTC", "font.size": 9}):
        figure = Figure(figsize=(10, 3.6), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure.add_subplot(), plot)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})


def _check_lengths(plot: SeriesPlot) -> None:
    wanted = len(plot.times)
    for name, column in (("values", plot.values), ("low", plot.low), ("high", plot.high)):
        if len(column) != wanted and (column or name == "values"):
            raise PermanentError(f"cannot plot {plot.title!r}: {len(column)} {name} for {wanted} times")
    if len(plot.low) != len(plot.high):
        raise PermanentError(f"cannot plot {plot.title!r}: a band needs both low and high")


def _draw(axes: Axes, plot: SeriesPlot) -> None:
    axes.xaxis_date()
    times = [_day(at) for at in plot.times]
    for number, window in enumerate(plot.labelled):
        label = "labelled fault" if number == 0 else None
        axes.axvspan(_day(window.start), _day(window.end), color=_LABEL, alpha=0.35, lw=0, label=label)
    if plot.low:
        axes.fill_between(times, plot.low, plot.high, color=_BAND, alpha=0.6, lw=0, label="normal band")
    axes.plot(times, plot.values, color=_VALUE, lw=0.7, label=plot.unit)
    for number, window in enumerate(plot.alerts):
        label = "alert" if number == 0 else None
        axes.axvspan(_day(window.start), _day(window.end), ymax=0.05, color=_ALERT, lw=0, label=label)
        axes.axvline(_day(window.start), color=_ALERT, lw=1)
    axes.set_title(plot.title, loc="left")
    axes.set_ylabel(plot.unit)
    axes.margins(x=0.01)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(loc="upper left", fontsize=8, framealpha=0.9)


def _day(at: float) -> float:
    """Matplotlib's number for a time on a date axis: days since the epoch."""
    return at / 86_400

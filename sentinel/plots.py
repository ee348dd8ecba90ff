"""A picture of one series: values, the band that the detector called normal, last week, alerts, marks (SVG or PNG).

Needs matplotlib, the extra `plots`.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sentinel.errors import PermanentError
from sentinel.series import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png")
"""Endings of the file that `plot_series` can write."""

_MANY = 400
"""Points from which on a line is drawn thin."""
_VALUE, _BAND, _ALERT, _LABEL = "#1f4e79", "#9ecae1", "#c0392b", "#f5c542"
_BEFORE, _MARK = "#8a8a8a", "#1e8449"
# Settings of matplotlib belong to the process: two threads that draw at once would draw with each other's.
_DRAWING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPlot:
    """What to draw. Times are seconds since the epoch, shown in UTC; `values[i]` was measured at `times[i]`.

    `low[i]` and `high[i]` are the band at `times[i]` (NaN leaves a gap; empty draws none). `alerts` are spans from the
    onset to the resolution, `labelled` the faults as people marked them. `before[i]` is what the series was a week
    before `times[i]` (NaN leaves a gap; empty draws none). `marks` are moments with a few words, such as an action.
    """

    title: str
    unit: str
    times: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    alerts: Sequence[Window] = ()
    labelled: Sequence[Window] = ()
    before: Sequence[float] = ()
    marks: Sequence[tuple[float, str]] = ()


def draw_card(plot: SeriesPlot) -> bytes:
    """A PNG for a chat, wide and low, to be read on a phone too. Raises `PermanentError` as `plot_series` does.

    Costs about 0.2 s; the first one in a process another second.
    """
    picture = io.BytesIO()
    _save(plot, picture, "png", (8.0, 3.3), 150)
    return picture.getvalue()


def font_file(name: str) -> Path:
    """A font that comes with matplotlib, such as `DejaVuSans.ttf`."""
    import matplotlib as mpl  # noqa: PLC0415 see `_save`

    return Path(mpl.get_data_path()) / "fonts" / "ttf" / name


def plot_series(plot: SeriesPlot, path: Path) -> None:
    """Write the picture; the ending of `path` chooses SVG or PNG. The same plot gives the same bytes on one machine.

    Raises `PermanentError` when matplotlib is missing, when the ending is another one, or when lengths do not match.
    """
    if path.suffix not in FORMATS:
        raise PermanentError(f"{path}: a plot is written as {' or '.join(FORMATS)}, not {path.suffix or 'no ending'!r}")
    _save(plot, path, path.suffix[1:], (10.0, 3.6), 110)


def _save(plot: SeriesPlot, to: Path | IO[bytes], kind: str, size: tuple[float, float], dpi: int) -> None:
    _check_lengths(plot)
    try:
        # Imported here because plots are an extra, and because it takes half a second.
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise PermanentError("plots need matplotlib: pip install 'aiops-sentinel[plots]'") from error
    with (
        _DRAWING,
        mpl.rc_context(
            {
                "svg.hashsalt": "sentinel",
                "svg.fonttype": "none",
                "timezone": "UTC",
                "date.converter": "concise",
                "font.size": 9,
            }
        ),
    ):
        figure = Figure(figsize=size, dpi=dpi, layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure.add_subplot(), plot)
        figure.savefig(to, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})


def _check_lengths(plot: SeriesPlot) -> None:
    wanted = len(plot.times)
    columns = (("values", plot.values), ("low", plot.low), ("high", plot.high), ("before", plot.before))
    for name, column in columns:
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
    if plot.before:
        axes.plot(times, plot.before, color=_BEFORE, lw=1.0, ls="--", label="same hour last week")
    axes.plot(times, plot.values, color=_VALUE, lw=0.7 if len(times) > _MANY else 1.6, label=plot.unit)
    for number, window in enumerate(plot.alerts):
        label = "alert" if number == 0 else None
        axes.axvspan(_day(window.start), _day(window.end), ymax=0.05, color=_ALERT, lw=0, label=label)
        axes.axvline(_day(window.start), color=_ALERT, lw=1)
    middle = (plot.times[0] + plot.times[-1]) / 2 if plot.times else 0.0
    for at, words in plot.marks:
        late = at > middle
        axes.axvline(_day(at), color=_MARK, lw=1.4, ls=":")
        axes.annotate(
            words, (_day(at), 1.0), xycoords=axes.get_xaxis_transform(), xytext=(-4 if late else 4, -3),
            textcoords="offset points", color=_MARK, fontsize=8, va="top", ha="right" if late else "left",
        )  # fmt: skip
    axes.set_title(plot.title, loc="left")
    axes.set_title("UTC", loc="right", fontsize=8, color=_BEFORE)
    axes.set_ylabel(plot.unit)
    axes.margins(x=0.01)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(loc="upper left", fontsize=8, framealpha=0.9)


def _day(at: float) -> float:
    """Matplotlib's number for a time on a date axis: days since the epoch."""
    return at / 86_400

# /// script
# requires-python = ">=3.11"
# dependencies = ["matplotlib>=3.10"]
# ///
"""Draws dashboard.json from a Prometheus server, without Grafana.

Every query of every panel is asked of Prometheus as Grafana would ask it, and drawn where the panel stands:

    uv run deploy/observability/draw.py http://127.0.0.1:9090 docs/images/dashboard.png --minutes 10
"""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import matplotlib

matplotlib.use("Agg")
from matplotlib import dates, pyplot
from matplotlib.ticker import FuncFormatter, MaxNLocator

RATE_INTERVAL = "1m"
INK, PAPER, PANEL = "#d8d9da", "#111217", "#181b1f"
COLORS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d", "#ffb357", "#ff7383")
Series = tuple[str, list[datetime], list[float]]


def ask(server: str, expression: str, legend: str, minutes: float) -> list[Series]:
    """The series of a query over the last minutes, each with its legend."""
    now = time.time()
    query = expression.replace("$__rate_interval", RATE_INTERVAL)
    parameters = {"query": query, "start": now - 60 * minutes, "end": now, "step": minutes * 60 / 240}
    with urlopen(f"{server}/api/v1/query_range?{urlencode(parameters)}") as answer:  # noqa: S310 - the operator's own
        results = json.load(answer)["data"]["result"]
    found = []
    for result in results:
        name = legend
        for label, value in result["metric"].items():
            name = name.replace("{{" + label + "}}", value)
        points = [(float(at), float(value)) for at, value in result["values"]]
        found.append((name, [datetime.fromtimestamp(at, UTC) for at, _ in points], [value for _, value in points]))
    return found


def scale(unit: str) -> FuncFormatter:
    """Numbers of an axis as Grafana writes them."""

    def write(value: float, _: int) -> str:
        if unit == "s":
            if value >= 600:
                return f"{value / 60:.3g} min"
            return f"{value * 1000:.3g} ms" if 0 < value < 1 else f"{value:.3g} s"
        if unit == "percentunit":
            return f"{value:.0%}"
        suffix = {"decbytes": "B", "Bps": "B/s"}.get(unit, "")
        for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if value >= size:
                return f"{value / size:.3g} {letter}{suffix}"
        return f"{value:.3g}"

    return FuncFormatter(write)


def draw(axes: Any, panel: dict[str, Any], series: list[Series]) -> None:
    """One panel."""
    axes.set_facecolor(PANEL)
    axes.set_title(panel["title"], loc="left", color=INK, fontsize=9, fontweight="bold")
    for number, (name, times, values) in enumerate(series):
        color = COLORS[number % len(COLORS)]
        axes.plot(
            times, values, color=color, linewidth=1.3, label=name.replace("connectra.", "").replace("connectra-", "")
        )
        axes.fill_between(times, values, color=color, alpha=0.06)
    axes.set_ylim(bottom=0)
    if all(value == 0 for _, _, values in series for value in values):
        axes.set_ylim(top=1)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 4, 5, 8, 10]))
    axes.yaxis.set_major_formatter(scale(panel["fieldConfig"]["defaults"]["unit"]))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M", tz=UTC))
    axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=7))
    axes.tick_params(colors=INK, labelsize=7, length=0)
    axes.grid(color="#2c3235", linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if series:
        below = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.1), "borderaxespad": 0.2}
        axes.legend(ncol=2, fontsize=6, frameon=False, labelcolor=INK, handlelength=1, columnspacing=1, **below)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw dashboard.json from a Prometheus server.")
    parser.add_argument("server", help="e.g. http://127.0.0.1:9090")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    arguments = parser.parse_args()
    panels = json.loads(Path(__file__).with_name("dashboard.json").read_text())["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = pyplot.figure(figsize=(18, height * 0.4), facecolor=PAPER)
    for panel in panels:
        at = panel["gridPos"]
        top = 1 - at["y"] / height
        if panel["type"] == "row":
            figure.text(
                0.012, top - 0.6 / height, panel["title"], color=INK, fontsize=12, fontweight="bold", va="center"
            )
            continue
        box = (at["x"] / 24 + 0.036, top - (at["h"] - 2.1) / height, at["w"] / 24 - 0.046, (at["h"] - 3.1) / height)
        targets = panel["targets"]
        series = [s for t in targets for s in ask(arguments.server, t["expr"], t["legendFormat"], arguments.minutes)]
        draw(figure.add_axes(box), panel, series)
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.picture, dpi=80, facecolor=PAPER)


if __name__ == "__main__":
    main()

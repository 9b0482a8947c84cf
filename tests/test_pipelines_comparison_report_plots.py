"""Every method of a comparison can be told from the others in its plots."""

import pytest
from matplotlib.figure import Figure

from pipelines.comparison.report import plots


@pytest.mark.parametrize("plot", ["losses", "curves"])
def test_twelve_methods_have_twelve_looks(monkeypatch, plot):
    figure = Figure()
    monkeypatch.setattr(plots, "png", lambda draw, size: draw(figure))
    named = [{"method": f"method {i}"} for i in range(12)]
    if plot == "losses":
        history = [{"epoch": epoch, "loss": 1.0} for epoch in range(2)]
        plots.losses([{**each, "history": history} for each in named])
    else:
        points = [{"shots": n, "mean": 0.5, "interval": [0.4, 0.6]} for n in (1, 2, 4, 8)]
        plots.curves([{**each, "points": points} for each in named])
    (axes,) = figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) > 1 and line.get_marker() == "."]
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(lines) == len(looks) == 12
    names = axes.get_legend().get_window_extent()
    assert names.x0 >= axes.get_window_extent().x1  # beside the lines, not over them

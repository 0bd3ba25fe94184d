"""Draws the table of bench_growth.py: runs in the Python that has matplotlib, which comes with MediaPipe.

usage: plot_growth.py PLOT.svg < ROWS.json
"""
import json
import sys

OURS, THEIRS, GRID = "#1f5fbf", "#d9822b", "#dddddd"


def main():
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "nanoface", "font.size": 9})
    from matplotlib import pyplot

    rows = json.load(sys.stdin)
    axes_names = list(dict.fromkeys(row["axis"] for row in rows))
    figure, plots = pyplot.subplots(1, len(axes_names), figsize=(10.5, 3.2), sharey=True, layout="constrained")
    for plot, axis in zip(plots, axes_names):
        mine = [row for row in rows if row["axis"] == axis]
        labels = [row["label"] for row in mine]
        for key, name, colour, marker in (("ours", "nanoface", OURS, "o"), ("theirs", mine[0]["name"], THEIRS, "s")):
            values = [row[key]["cpu_ms"]["median"] for row in mine]
            plot.plot(labels, values, color=colour, marker=marker, label=name)
        plot.set_xlabel(axis)
        plot.set_ylim(bottom=0)
        plot.grid(axis="y", color=GRID)
        plot.margins(x=0.15)
        for side in ("top", "right"):
            plot.spines[side].set_visible(False)
    plots[0].set_ylabel("process CPU, ms a frame")
    figure.legend(*plots[0].get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=2)
    figure.savefig(sys.argv[1], facecolor="white", metadata={"Date": None} if sys.argv[1].endswith(".svg") else None)


if __name__ == "__main__":
    main()

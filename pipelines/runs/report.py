"""`report.html`: a run's results as one page that needs nothing else.

Small pure functions: `headline` puts the answer in words, `evaluation_page` makes the page of one
classifier's results, `render` fills any template of `templates/`. Every page is a single file
(pictures are embedded), reads on a phone, and follows the reader's light or dark setting.
"""

import base64
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.runs import metrics, plots, thumbnails

FIGURES = {
    "top1": ("Top-1 accuracy", "pictures whose first answer is right"),
    "top5": ("Top-5 accuracy", "pictures whose class is among the first five answers"),
    "mean_per_class": ("Mean-per-class accuracy", "every class counting the same"),
    "macro_precision": ("Macro precision", "how often a name is right when it is given"),
    "macro_recall": ("Macro recall", "how many of a class's pictures are found"),
    "macro_f1": ("Macro F1", "harmonic mean of precision and recall, class by class"),
    "ece": ("Calibration error", "how far confidence is from accuracy; 0 is perfect"),
    "seen_top1": ("Seen classes", "top-1 among the classes that were trained on"),
    "unseen_top1": ("Held-out classes", "top-1 among the classes that were not"),
    "seen_among_all": ("Seen, among all", "pictures of seen classes, all classes to choose from"),
    "unseen_among_all": (
        "Held out, among all",
        "pictures of held-out classes, all classes to choose from",
    ),
    "generalized_top1": ("All classes", "all pictures, all classes to choose from"),
    "harmonic_mean": ("Harmonic mean", "of seen and held-out classes among themselves"),
    "map": ("Mean average precision", "how pure the pictures are that a class puts first"),
    "micro_f1": ("Micro F1", "harmonic mean of precision and recall, over all labels"),
    "micro_precision": ("Micro precision", "labels said that are right"),
    "micro_recall": ("Micro recall", "labels of the pictures that are found"),
    "exact_match": ("Exact match", "pictures of which every label is right"),
}


DASH = "\u2013"  # an en dash


def percent(fraction: float | None) -> str:
    """0.824 as "82.4 %"; nothing known as a dash."""
    return DASH if fraction is None else f"{100 * fraction:.1f} %"


def interval(ends: list[float] | None) -> str:
    """[0.807, 0.84] as "80.7" and "84.0" with a dash between; no interval as nothing."""
    return "" if not ends else DASH.join(f"{100 * end:.1f}" for end in ends)


def tie(text: str) -> str:
    """The text with numbers and their per cent signs, and intervals, kept on one line."""
    return text.replace(" %", "\u00a0%").replace(DASH, f"\u2060{DASH}\u2060")


def headline(results: dict[str, Any]) -> str:
    """The answer in one sentence, by the metric that the dataset is judged by."""
    judged_by = results["judged_by"]
    ends = interval(results["intervals"].get(judged_by))
    pictures, classes = f"{results['pictures']:,}", f"{results['classes']:,} classes"
    if results.get("protocol") == "zero-shot":
        classes += " told by their names alone"
    value = percent(results["metrics"][judged_by])
    spread = f" (95 % interval {ends})" if ends else ""
    if judged_by == "top1":
        return f"{value} of {pictures} {results['split']} pictures right{spread}, over {classes}"
    name = FIGURES[judged_by][0]
    name = name[0].lower() + name[1:]
    return f"{value} {name}{spread} on {pictures} {results['split']} pictures, over {classes}"


def figure_rows(results: dict[str, Any]) -> list[dict[str, str]]:
    """The metrics table: name, what it says, value and 95 % interval, as text.

    In the order of the results, of those named in `FIGURES`.
    """
    rows = []
    for key in filter(FIGURES.get, results["metrics"]):
        name, what = FIGURES[key]
        if key == "top5" and results["classes"] <= 5:
            what = f"says nothing here: there are only {results['classes']} classes"
        rows.append(
            {
                "name": name,
                "what": what,
                "value": percent(results["metrics"][key]),
                "interval": interval(results["intervals"].get(key)),
            }
        )
    return rows


def terminal_table(results: dict[str, Any]) -> str:
    """The same table for a terminal, under the headline."""
    rows = [(row["name"], row["value"], row["interval"]) for row in figure_rows(results)]
    heading = ("", "", "95 % interval" if results["intervals"] else "")
    lines = [f"{n:24}{v:>8}   {i}".rstrip() for n, v, i in (heading, *rows)]
    return "\n".join([headline(results), *lines])


def command_line(command: str, options: dict[str, Any]) -> str:
    """What to type to get the same run: every option that is not null, quoted for a shell."""
    words = ["python", "-m", "pipelines", command]
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            values = value if isinstance(value, (list, tuple)) else [value]
            words += [f"--{flag}", *map(str, values)]
    return shlex.join(words)


def evaluation_page(results: dict[str, Any], pairs: list[dict[str, Any]]) -> str:
    """The page of one classifier's results.

    results: the document that `results.document` makes; pairs: its `most_confused`, each with
    `pictures` (uint8 arrays [h, w, 3]) and `captions` (one text per picture).
    """
    import yaml

    confusion = np.array(results["confusion_matrix"])
    names = [row["name"] for row in results["per_class"]]
    block = metrics.confused_classes(confusion) if len(confusion) else []
    cost = results["cost"]
    return render(
        "evaluate.html.j2",
        title=f"{results['model']} on {results['dataset']}, {results['split']} split",
        headline=headline(results),
        results=results,
        figures=figure_rows(results),
        absent=sum(row["count"] == 0 for row in results["per_class"]),
        plots=_plots(results["calibration"], confusion, names, block),
        block=len(block),
        pairs=[_thumbnails(pair, names) for pair in pairs],
        classes=weakest_first(results["per_class"]),
        command=command_line(results["command"], results["config"]),
        config=yaml.safe_dump(results["config"], sort_keys=False, allow_unicode=True),
        cost=(
            f"Took {cost['seconds']:,.0f} s, {cost['pictures_per_second']:,.0f} pictures/s, "
            f"{cost['peak_rss_bytes'] / 2**30:.1f} GiB of memory at most. "
            "Nothing is ever overwritten: give it another --out."
        ),
    )


def render(template: str, **context: Any) -> str:
    """A template of `templates/` filled in; everything put into it is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "tie": tie, "count": "{:,}".format}
    return environment.get_template(template).render(context)


def data_uri(data: bytes, kind: str = "png") -> str:
    """A picture's bytes as an address that holds them."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def both_themes(draw: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
    """A plot for light and for dark pages, embedded."""
    light, dark = (draw(*arguments, t, **options) for t in (plots.LIGHT, plots.DARK))
    width = int.from_bytes(light[16:20], "big") * 2 // 3  # of the PNG header
    return {"light": data_uri(light), "dark": data_uri(dark), "width": width}


def _plots(
    bins: list[dict[str, Any]], confusion: np.ndarray, names: list[str], block: list[int]
) -> dict[str, Any]:
    """The page's plots; `block` is None where the whole matrix can be read anyway."""

    def matrix(chosen: list[int], **options: Any) -> dict[str, Any]:
        part = confusion[np.ix_(chosen, chosen)]
        return both_themes(plots.confusion_matrix, part, [names[i] for i in chosen], **options)

    small = len(names) <= 30
    return {
        "reliability": both_themes(plots.reliability, bins),
        "confusion": (
            matrix(metrics.similar_order(confusion).tolist(), labels=small)
            if len(confusion)
            else None
        ),
        "block": None if small or not block else matrix(block),
    }


def _thumbnails(pair: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The pair with its text and its pictures small enough to embed."""
    alt = f"{names[pair['true']]}, taken for {names[pair['predicted']]}"
    embedded = [
        {"uri": data_uri(thumbnails.jpeg(picture), "jpeg"), "alt": alt, "title": caption}
        for picture, caption in zip(pair["pictures"], pair["captions"], strict=True)
    ]
    return {"text": plots.confusion_text(pair, names), "thumbnails": embedded}


def weakest_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of classes by F1, those without pictures last."""
    return sorted(rows, key=lambda row: (row["f1"] is None, row["f1"] or 0.0))

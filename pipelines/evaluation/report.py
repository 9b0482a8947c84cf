"""The report page and the terminal summary of a classifier's results."""

from typing import Any

import numpy as np

from duet import name_list, percent_metric_names
from pipelines.evaluation import plots as evaluation_plots
from pipelines.metrics import confusion as metrics_confusion
from pipelines.reporting.number_format import gibibytes, interval, percent
from pipelines.reporting.page import data_uri, of_run, plot
from pipelines.runs.text_table import aligned
from tfrecords.images import reencoding

FIGURES = {
    key: (percent_metric_names.FRACTIONS[key], what)
    for key, what in {
        "top1": "images whose first answer is right",
        "top5": "images whose class is among the first five answers",
        "mean_per_class": "every class counting the same",
        "macro_precision": "how often a name is right when it is given",
        "macro_recall": "how many of a class's images are found",
        "macro_f1": "harmonic mean of precision and recall, class by class",
        "ece": "how far confidence is from accuracy; 0 is perfect",
        "seen_top1": "top-1 among the classes that were trained on",
        "unseen_top1": "top-1 among the classes that were not",
        "seen_among_all": "images of seen classes, all classes to choose from",
        "unseen_among_all": "images of held-out classes, all classes to choose from",
        "generalized_top1": "all images, all classes to choose from",
        "harmonic_mean": "of seen and held-out classes among themselves",
        "map": "how pure the images are that a class puts first",
        "micro_f1": "harmonic mean of precision and recall, over all labels",
        "micro_precision": "labels said that are right",
        "micro_recall": "labels of the images that are found",
        "exact_match": "images of which every label is right",
    }.items()
}


KEPT = "Nothing is ever overwritten: give it another --out."


def title(results: dict[str, Any]) -> str:
    """Returns what was evaluated, on what."""
    return f"Evaluation of {results['model']} on {results['dataset']}, {results['split']} split"


def took(results: dict[str, Any]) -> str:
    """Returns what the evaluation cost, as a sentence."""
    cost = results["cost"]
    return (
        f"Took {cost['seconds']:,.0f} s, {cost['images_per_second']:,.0f} images/s, "
        f"{gibibytes(cost['peak_rss_bytes'])} of memory at most."
    )


def headline(results: dict[str, Any]) -> str:
    """Returns the main result in one sentence, by the headline metric of the data set."""
    judged_by = results["judged_by"]
    ends = interval(results["intervals"].get(judged_by))
    images, classes = f"{results['images']:,}", f"{results['classes']:,} classes"
    if results.get("protocol") == "zero-shot":
        classes += " told by their names alone"
    if new := results.get("new_names"):
        classes += f", {new:,} of them new to the prompts"
    value = percent(results["metrics"][judged_by])
    spread = f" (95 % interval {ends})" if ends else ""
    if judged_by == "top1":
        return f"{value} of {images} {results['split']} images right{spread}, over {classes}"
    name = FIGURES[judged_by][0]
    name = name[0].lower() + name[1:]
    return f"{value} {name}{spread} on {images} {results['split']} images, over {classes}"


def figure_rows(results: dict[str, Any]) -> list[dict[str, str]]:
    """Returns the metrics table: name, meaning, value and 95 % interval, as text.

    Has the metrics of `FIGURES`, in the order of the results.
    """
    rows, metrics = [], results["metrics"]
    for key in filter(FIGURES.get, metrics):
        if key == "seen_top1" and not metrics.keys() & {"unseen_top1", "seen_among_all"}:
            continue  # with no class held out it is top1
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


def untested(results: dict[str, Any]) -> str:
    """Returns a line on classes without an image in the split; empty if there are none."""
    names = [row["name"] for row in results["per_class"] if not row["count"]]
    if not names:
        return ""
    return (
        f"Classes without an image in split {results['split']}: {name_list.first_of(names)}; "
        "means over classes leave them out, but they can be predicted"
    )


def terminal_table(results: dict[str, Any]) -> str:
    """Returns the metrics table for a terminal, between the headline and what was not tested."""
    table = metrics_table(headline(results), figure_rows(results), intervals=results["intervals"])
    return "\n".join(filter(None, [table, untested(results)]))


def metrics_table(first: str, figures: list[dict[str, str]], *, intervals: Any) -> str:
    """Returns a line, and below it each figure's name, value and interval, where there are any."""
    rows = [(row["name"], row["value"], row["interval"]) for row in figures]
    heading = ("", "", "95 % interval" if intervals else "")
    return "\n".join([first, *aligned([heading, *rows], right=(1,))])


def evaluation_page(results: dict[str, Any], pairs: list[dict[str, Any]], order: list[int]) -> str:
    """Returns the page of a classifier's results.

    results: the document of `results.document`; pairs: its `most_confused`, each with
    `images` (uint8 arrays [h, w, 3]) and `captions` (one text per image); order: `similar_order`
    of the confusion matrix, empty where there is none.
    """
    confusion = np.array(results["confusion_matrix"])
    names = [row["name"] for row in results["per_class"]]
    block = metrics_confusion.confused_classes(confusion, order) if order else []
    return of_run(
        "evaluate.html.j2",
        results,
        title=title(results),
        headline=headline(results),
        figures=figure_rows(results),
        untested=untested(results),
        plots=_plots(results["calibration"], confusion, names, order, block),
        block=len(block),
        named=len(names) <= evaluation_plots.NAMED,
        pairs=[_thumbnails(pair, names) for pair in pairs],
        classes=weakest_first(results["per_class"]),
        cost=f"{took(results)} {KEPT}",
    )


def _plots(
    bins: list[dict[str, Any]],
    confusion: np.ndarray,
    names: list[str],
    order: list[int],
    block: list[int],
) -> dict[str, Any]:
    """Returns the page's plots; `block` is None if the whole matrix is readable."""

    def matrix(chosen: list[int], **options: Any) -> dict[str, Any]:
        part = confusion[np.ix_(chosen, chosen)]
        named = [names[i] for i in chosen]
        return plot(evaluation_plots.confusion_matrix(part, named, **options))

    small = len(names) <= 30
    return {
        "reliability": plot(evaluation_plots.reliability(bins)),
        "confusion": matrix(order, labels=small) if order else None,
        "block": None if small or not block else matrix(block),
    }


def _thumbnails(pair: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Returns the pair with its text, and thumbnails to embed."""
    alt = f"{names[pair['true']]}, taken for {names[pair['predicted']]}"
    embedded = [
        {"uri": data_uri(reencoding.jpeg(image), "jpeg"), "alt": alt, "title": caption}
        for image, caption in zip(pair["images"], pair["captions"], strict=True)
    ]
    return {"text": evaluation_plots.confusion_text(pair, names), "thumbnails": embedded}


def weakest_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorts rows of classes by F1; classes without images come last."""
    return sorted(rows, key=lambda row: (row["f1"] is None, row["f1"] or 0.0))

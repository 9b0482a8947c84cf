"""The report of image-text retrieval: terminal summary and page."""

from typing import Any

import numpy as np

from pipelines.evaluation import plots as evaluation_plots
from pipelines.evaluation import report as evaluation_report
from pipelines.metrics import retrieval
from pipelines.reporting import number_format as reporting_text
from pipelines.reporting import page as reporting_page
from tfrecords.images import reencoding

WAYS = {
    "text_to_image": ("Text to image", "captions whose image is {}"),
    "image_to_text": ("Image to text", "images with a caption of their own {}"),
}

AMONG = {1: "found first", 5: "among the first 5", 10: "among the first 10"}


def headline(results: dict[str, Any]) -> str:
    """Returns the main result in one sentence."""
    judged_by = results["judged_by"]
    ends = reporting_text.interval(results["intervals"].get(judged_by))
    spread = f" (95 % interval {ends})" if ends else ""
    return (
        f"{reporting_text.percent(results['metrics'][judged_by])} "
        f"of {results['captions']:,} captions find their image first{spread}, "
        f"among {results['searched']:,} images"
    )


def figure_rows(results: dict[str, Any]) -> list[dict[str, str]]:
    """Returns the metrics table: name, meaning, value and 95 % interval, as text."""
    figures = results["metrics"]
    texts = {}
    for way, (name, what) in WAYS.items():
        for k, among in AMONG.items():
            texts[f"{way}_recall{k}"] = f"{name}, recall@{k}", what.format(among)
        median = "the place of the first right answer, half of the time this or better"
        texts[f"{way}_median_rank"] = f"{name}, median rank", median
    texts["first_caption_hit100"] = (
        "Hit@100, first captions",
        "as in the keras-io example: images among the first 100 for their first caption",
    )
    return [
        {
            "name": texts[key][0],
            "what": texts[key][1],
            "value": f"{figures[key]:,g}"
            if "median" in key
            else reporting_text.percent(figures[key]),
            "interval": reporting_text.interval(results["intervals"].get(key)),
        }
        for key in retrieval.METRICS
    ]


def terminal_table(results: dict[str, Any]) -> str:
    """Returns the metrics table for a terminal, below the headline."""
    rows = figure_rows(results)
    return evaluation_report.metrics_table(headline(results), rows, intervals=results["intervals"])


def page(
    results: dict[str, Any], shown: list[dict[str, Any]], places: dict[str, np.ndarray]
) -> str:
    """Returns the page of one evaluation.

    Args:
        results: the document.
        shown: captions, each with `caption`, `rank`, `rows` of the retrieved images, the `right`
            one, and `images` by row: `pixels` uint8 [h, w, 3] and `filename`.
        places: ranks by direction.
    """

    captions = results["captions"]
    answers = {
        "text_to_image": (results["searched"], 1.0),
        "image_to_text": (captions, captions / results["images"]),
    }
    lines = {WAYS[way][0].lower(): (places[way], *answers[way]) for way in retrieval.DIRECTIONS}
    return reporting_page.of_run(
        "retrieval.html.j2",
        results,
        title=evaluation_report.title(results),
        headline=headline(results),
        figures=figure_rows(results),
        curve=reporting_page.plot(evaluation_plots.recall_curves(lines)),
        queries=[_query(chosen) for chosen in shown],
        cost=evaluation_report.took(results),
    )


def _query(chosen: dict[str, Any]) -> dict[str, Any]:
    """Returns a caption and its retrieved images, as the page's macro of pairs expects them."""
    found: list[dict[str, str]] = []
    for place, row in enumerate(chosen["rows"], start=1):
        image = chosen["images"][row]
        verdict = "the one it describes" if row == chosen["right"] else "another one"
        found.append(
            {
                "uri": reporting_page.data_uri(reencoding.jpeg(image["pixels"]), "jpeg"),
                "alt": f"number {place}: {image['filename']}, {verdict}",
                "title": f"{image['filename']}, {verdict}",
            }
        )
    text = f"{chosen['caption']} (its image is number {chosen['rank']:,})"
    return {"text": text, "thumbnails": found}

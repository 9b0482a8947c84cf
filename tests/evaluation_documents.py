"""Results documents of made-up classifiers, and a parser of report pages."""

import io
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from pipelines.evaluation import measure
from pipelines.evaluation import report as evaluation_report
from pipelines.metrics import classification
from pipelines.metrics import confusion as metrics_confusion
from pipelines.runs import results

COST = {"seconds": 2.5, "images_per_second": 1234.5, "peak_rss_bytes": 2**29}


CONFIG = {"data": "records/a b", "model": "m", "templates": ["a {}.", "{}"], "seed": 0, "x": None}


def document(classes=3, images=60, **more):
    rng = np.random.default_rng(0)
    labels = np.arange(images) % (classes - 1)  # the last class has no images
    logits = rng.normal(size=(images, classes)) + 1.5 * np.eye(classes)[labels]
    names = [f"<b>class</b> & {i}" for i in range(classes)]
    measured = measure.measure(labels, classification.softmax(logits), names, resamples=50)
    given = {"protocol": "zero-shot", "templates": ["a <{}>"], **more}
    return results.document(
        measured,
        command="evaluate",
        dataset="d",
        split="test",
        model="m",
        cost=COST,
        config=CONFIG,
        **given,
    )


def with_images(found):
    image = np.full((20, 30, 3), 200, np.uint8)
    return [
        {**pair, "images": [image] * 2, "captions": ['"x".png, 90% sure'] * 2}
        for pair in found["most_confused"]
    ]


def evaluation_page(found, pairs):
    confusion = np.array(found["confusion_matrix"])
    order = metrics_confusion.similar_order(confusion).tolist() if len(confusion) else []
    return evaluation_report.evaluation_page(found, pairs, order)


class Page(HTMLParser):
    """Tags and attributes of a page, and whether every tag is closed."""

    void = ("meta", "img", "source", "link", "br", "!doctype")

    def __init__(self, html):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def image(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

"""Every kind of report page, filled with made-up figures."""

import io
from types import SimpleNamespace

import numpy as np
from evaluation_documents import CONFIG, COST, document, evaluation_page, with_images
from multilabel_documents import document as multi_label_document
from PIL import Image
from training_documents import RESULTS

from pipelines.comparison.report import output_files as comparison_files
from pipelines.evaluation import captions_report, multilabel_report
from pipelines.fewshot import report as fewshot_report
from pipelines.finetuning import output_files as finetuning_files
from pipelines.inspection import report as inspection_report
from pipelines.inspection.suspects_table import Suspect
from pipelines.metrics import retrieval as metrics_retrieval
from pipelines.metrics import seen_unseen
from pipelines.reporting import page as reporting_page
from pipelines.runs import results
from pipelines.training import output_files as training_files

IMAGE = np.full((20, 30, 3), 200, np.uint8)
BATCH = {"images_per_second": 250.0, "latency_p50_ms": 4.0, "latency_p95_ms": 5.2, "requests": 9}
POINTS = [
    {**dict.fromkeys(seen_unseen.FIGURES), "alpha": i / 4, "seen_top1": 0.5 + i / 10}
    | {"unseen_top1": 0.9 - i / 20}
    for i in range(5)
]
UNBALANCED = {
    "largest": {"name": "dog", "images": 60},
    "smallest": {"name": "cat", "images": 10},
    "ratio": 6.0,
    "empty": ["ant"],
}
SHARES = ("seen", "unseen", "unseen_among_all", "generalized", "harmonic_mean", "macro_f1", "ece")


def file(kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(IMAGE).save(buffer, kind)
    return buffer.getvalue()


def evaluation():
    found = document(40, images=200)
    return evaluation_page(found, with_images(found))


def multi_label():
    return multilabel_report.page(multi_label_document(5))


def training():
    return training_files.page(RESULTS)


def tuned():
    epoch = {"loss": 2.0, "accuracy": 0.5, "val_seen_top1": 0.6, "val_unseen_top1": 0.5}
    found = document(
        method="paint",
        history=[{"epoch": i, "learning_rate": 0.1, **epoch} for i in range(3)],
        wise_ft=POINTS,
        alpha={"chosen": 0.5, "classes": [0, 1], "curve": POINTS},
        steps=30,
        devices=["CPU:0"],
    )
    return finetuning_files.page({**found, "cost": {**COST, "parameters": 12345}})


def prompts():
    cells = [
        {
            "model": "m",
            "method": method,
            "shots": shots,
            "seed": seed,
            "metrics": {"top1": 0.5 + shots / 10 + seed / 50},
            "template": "[1 vectors] {}.",
            "nearest_words": [[("cat", 0.5), ("dog", 0.75)]],
        }
        for method, shots in (("zero-shot", 0), ("coop", 1), ("coop", 2))
        for seed in (1, 2)[: 1 + bool(shots)]
    ]
    for cell in cells:
        if not cell["shots"]:
            del cell["nearest_words"]
    rows = fewshot_report.table(cells)
    best = {"model": "m", "method": "coop", "shots": 2}
    found = document(table=rows, best=best, protocol="few-shot")
    return fewshot_report.page({**found, "metrics": {"top1": 0.7}}, cells, file("PNG"))


def retrieval():
    rng = np.random.default_rng(0)
    owner = np.arange(60) // 2
    places = metrics_retrieval.both_ways(rng.normal(size=(30, 8)), rng.normal(size=(60, 8)), owner)
    figures = metrics_retrieval.summary(places, owner)
    found = document(captions=60, searched=30)
    found |= {"metrics": figures, "intervals": {}, "judged_by": "text_to_image_recall1"}
    images = {row: {"pixels": IMAGE, "filename": f"{row}.png"} for row in range(2)}
    shown = [{"caption": "a cat", "rank": 2, "rows": [0, 1], "right": 1, "images": images}]
    return captions_report.page({**found, "images": 30}, shown, places)


def contact_sheet():
    uri = reporting_page.data_uri(file(), "png")
    hits = [{"rank": i, "score": 0.5, "id": f"a/{i}.png", "uri": [uri, None][i]} for i in range(2)]
    query = SimpleNamespace(text="a red star", kind="text")
    return reporting_page.render(
        "contact_sheet.html.j2",
        title="m on images",
        headline="2 queries, among 10 images",
        answers=[{"query": query, "asked": asked, "hits": hits} for asked in (None, uri)],
        results={"command": "retrieve", "created": RESULTS["created"], "versions": {}},
    )


def comparison_row(method, *, error=None, like=None, unseen=True):
    measured = document()
    figures = {key: None if error else 0.5 + i / 20 for i, key in enumerate(SHARES)}
    if not unseen:
        figures |= dict.fromkeys(("unseen", "unseen_among_all", "generalized", "harmonic_mean"))
    deployed = {
        "image_size": 64,
        "flops": 77_322_752,
        "parameters": 543_328,
        "bytes": 4_918_921,
        "load_seconds": 1.0,
        "peak_rss_bytes": 2**29,
        "batches": {"1": BATCH, "32": BATCH},
        "like": like,
        "note": None,
    }
    return {
        "method": method,
        "what": "every weight at a constant rate",
        "family": "dual",
        "command": f"python -m pipelines finetune --method {method} --data records/mine",
        "error": error,
        "seeds": 3,
        "intervals": {key: [0.4, 0.6] for key in SHARES},
        "spread": {key: 0.01 for key in SHARES},
        **figures,
        "seconds": None if error else 90.0,
        "peak_rss_bytes": None if error else 2**30,
        "parameters": 543_328,
        "trained_parameters": 12_000,
        "price": 0.05,
        "price_per_million": 2.2,
        "deployment": "Low",
        "deployed": None if error else deployed,
        "history": [] if error else [{"epoch": i, "loss": 2.0 - i} for i in range(2)],
        "wise_ft": POINTS if like else None,
        "calibration": None if error else measured["calibration"],
        "per_class": measured["per_class"],
        "confusion_matrix": measured["confusion_matrix"],
    }


def comparison_document():
    rows = [
        comparison_row("zero-shot"),
        comparison_row("auto", like="zero-shot"),
        comparison_row("resnet50", unseen=False),
        comparison_row("vit", error="vit-base-patch16-224 is not there, and no hub answers"),
    ]
    pair = {"difference": 0.05, "low": 0.01, "high": 0.09, "p": 0.0004, "better": "auto"}
    return results.document(
        {"metrics": {}, "intervals": {}, "per_class": [], "confusion_matrix": [], "seed": 0},
        command="compare",
        dataset="d",
        split="test",
        model="clip",
        cost=COST,
        config={**CONFIG, "price": 2.0},
        classes=3,
        parts=None,
        rows=rows,
        pairs=[{"a": "auto", "b": "zero-shot", **pair}],
        left_out={"flyp": "about 2 h, 5 min left"},
        remarks=["90 test images of the classes trained on."],
        recommendation={
            "method": "auto",
            "runner_up": "zero-shot",
            "keeps": True,
            "answer": "Use auto: 55.0 % on your classes, 5.0 points better than zero-shot.",
        },
    )


def comparison():
    thumbnail = {
        "uri": reporting_page.data_uri(file(), "png"),
        "alt": "cat, taken for dog",
        "title": "x",
    }
    mistakes = [{"text": "auto", "thumbnails": [thumbnail] * 3}]
    return comparison_files.page(comparison_document(), mistakes)


def inspection():
    scan = SimpleNamespace(splits=["test", "train", "train"], files=["a.jpg", "b.jpg", "c.jpg"])
    found = [
        Suspect(1, "near-duplicate", 0.98, "perceptual hashes differ in 1 of 64 bits", 0),
        Suspect(2, "wrong-label", 2.5, "labelled cat (6.0 %), looks like dog (90.0 %)"),
    ]
    figures = {
        "command": "inspect",
        "created": "2026-01-02T03:04:05+00:00",
        "dataset": "photos",
        "images": {"train": 2, "test": 1},
        "suspects": {"near-duplicate": 1, "wrong-label": 1},
        "across_splits": {"test in train": 1},
        "unbalanced": {"train": UNBALANCED},
        "alike": [{"a": "cat", "b": "dog", "mixed_up": 3, "of": 20, "cosine": 0.9}],
        "label_agreement": 0.912,
        "notes": ["labels not checked of 1 classes with one image"],
        "versions": results.versions(),
    }
    uri = reporting_page.data_uri(file())
    return inspection_report.page(figures, found, scan, images=dict.fromkeys(range(3), uri))


PAGES = {
    page.__name__: page
    for page in (
        *(comparison, evaluation, multi_label, tuned, training),
        *(prompts, retrieval, contact_sheet, inspection),
    )
}

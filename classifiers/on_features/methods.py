"""The table of methods that are fitted to cached features."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from classifiers import blas_threads
from classifiers.on_features import (
    clap_zslp_sstext,
    cross_modal_and_taskres,
    gaussian,
    lp_plus_plus,
    probe_gaussian_ensemble,
    proker,
    prolip_projection,
    text_initialized_probe,
    training_free_tip_adapter,
    zero_shot_and_plain_probe,
)
from classifiers.on_features.fitted import Fitted
from classifiers.on_features.task import Task


@dataclass(frozen=True)
class Method:
    """One way to make a classifier of cached features.

    Attributes:
        what: it is, in a few words.
        function: a task, a seed and settings to the classifier; see `fit`.
        draws: whether the seed changes the result for the same images.
        learns: whether images change the result.
        reads_names: whether the class texts change the result.
        answers_new_names: whether the classifier has columns for names it never saw.
        needs_every_class: whether a class without images is an error.
        uses_views: whether several views of an image are more than one.
    """

    what: str
    function: Callable[..., Fitted]
    draws: bool = False
    learns: bool = True
    reads_names: bool = True
    answers_new_names: bool = True
    needs_every_class: bool = False
    uses_views: bool = True

    def fit(self, task: Task, seed: int = 0, **settings: Any) -> Fitted:
        """The classifier of a task; small ones on one thread, see `classifiers.blas_threads`."""
        with blas_threads.as_needed(task.images * task.class_texts.size):
            return self.function(task, seed, **settings)


#: In the order of a table: what learns nothing, probes, closed forms, the rest.
METHODS: Mapping[str, Method] = {
    "zero-shot": Method(
        "class names alone", zero_shot_and_plain_probe.zero_shot, learns=False, uses_views=False
    ),
    "linear-probe": Method(
        "logistic regression that knows no names",
        zero_shot_and_plain_probe.linear_probe,
        reads_names=False,
        answers_new_names=False,
        needs_every_class=True,
    ),
    "text-probe": Method("logistic regression from the class names", text_initialized_probe.fit),
    "clap": Method(
        "CLAP: SGD from the class names, pulled back", clap_zslp_sstext.clap, draws=True
    ),
    "zs-lp": Method(
        "SGD from the class names",
        partial(clap_zslp_sstext.clap, penalty=False),
        draws=True,
    ),
    "ss-text": Method("SS-Text+: names plus image sums", clap_zslp_sstext.ss_text),
    "lp-plus-plus": Method(
        "LP++: probe plus weighted names", lp_plus_plus.fit, needs_every_class=True
    ),
    "cross-modal": Method("names as training samples", cross_modal_and_taskres.cross_modal),
    "task-residual": Method(
        "TaskRes: names plus a residual", cross_modal_and_taskres.task_residual
    ),
    "tip-adapter": Method("memory of the images", training_free_tip_adapter.fit),
    "proker": Method("kernel ridge regression beside the names", proker.fit),
    "gaussian": Method(
        "discriminant analysis beside the names", gaussian.fit, needs_every_class=True
    ),
    "blend": Method("text probe and Gaussians together", probe_gaussian_ensemble.fit),
    "projection": Method("ProLIP: the last projection alone", prolip_projection.fit),
}

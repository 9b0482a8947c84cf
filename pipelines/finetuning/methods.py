"""The ways to fine-tune: what is trained, from which head, by which loss. One table."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A way to fine-tune.

    Attributes:
        what: it does, in a few words.
        paper: where it is from.
        trains: "all" weights of the image side and the head, all but the head ("image"), the
            "last" blocks, "lora", the "head" alone, "both" towers, or "nothing".
        head: "linear" (fresh), "zero-shot" (from the class names), "probe" (logistic regression
            on the features), or "text": none but the class names themselves.
    """

    what: str
    paper: str
    trains: str
    head: str


METHODS: Mapping[str, Method] = {
    "full": Method(
        "every weight, with a fresh linear head",
        "Girshick et al. 2014, arXiv:1311.2524; of CLIP: FT-CLIP, Dong et al. 2022, "
        "arXiv:2212.06138",
        trains="all",
        head="linear",
    ),
    "frozen": Method(
        "a linear head by gradient descent, the tower as it is, images augmented",
        "Donahue et al. 2014, arXiv:1310.1531",
        trains="head",
        head="linear",
    ),
    "last-blocks": Method(
        "the last blocks and a fresh linear head",
        "Yosinski et al. 2014, arXiv:1411.1792",
        trains="last",
        head="linear",
    ),
    "linear-probe": Method(
        "logistic regression on features computed once",
        "Radford et al. 2021, arXiv:2103.00020, section 3.2",
        trains="nothing",
        head="probe",
    ),
    "lp-ft": Method(
        "every weight, from the linear probe's head",
        "LP-FT, Kumar et al. 2022, arXiv:2202.10054",
        trains="all",
        head="probe",
    ),
    "zero-shot-head": Method(
        "every weight of the image side by cross-entropy, from the zero-shot head",
        "WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903",
        trains="all",
        head="zero-shot",
    ),
    "paint": Method(
        "every weight of the image side by cross-entropy against the class names' embeddings, "
        "which stay as they are; batch normalisation too",
        "PAINT, Ilharco et al. 2022, arXiv:2208.05592",
        trains="image",
        head="zero-shot",
    ),
    "flyp": Method(
        "both towers by the contrastive loss against class prompts",
        "FLYP, Goyal et al. 2023, arXiv:2212.00638",
        trains="both",
        head="text",
    ),
    "lora": Method(
        "low-rank changes of the blocks' matrices, and the head",
        "LoRA, Hu et al. 2022, arXiv:2106.09685",
        trains="lora",
        head="linear",
    ),
}

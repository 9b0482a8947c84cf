"""One row of the table of checkpoints, and the pixel statistics that several share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)

OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)

HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Checkpoint:
    """One pretrained model.

    Attributes:
        kind: "dual-encoder" (an image tower and a text tower), "image-encoder" (with its classifier
            where it has one) or "text-encoder".
        parameters: exact count.
        trained_on: images and captions, or texts.
        licence: of the weights.
        layout: `"packed"` (ships with Duet), `"transformers"` or `"open_clip"`.
        file: of a packed one.
        repository, revision: on the hub; the newest revision where none is known by its hash.
        image_size, patch_size: pixels; None in text encoders, the patch in residual networks.
        mean, std, resize, interpolation: of pixels, see `dual_encoder.ImageTower`.
        embed_dim: size of the space that images and texts share, or of the features.
        context_length: most tokens per text.
        activation: of the towers' mlps.
        tokenizer: kind of vocabulary, and what texts go through before.
        pooling: from tokens to a text's features.
        tag: model and tag in OpenCLIP's table, which `load` takes as well.
        zero_shot: dataset -> top-1 accuracy as a fraction (Caltech-101, Aircraft, Flowers and Pets:
            mean per class).
        source: where the figures come from.
    """

    kind: str
    parameters: int
    trained_on: str
    licence: str
    layout: str = "transformers"
    file: Path | None = None
    repository: str | None = None
    revision: str | None = None
    image_size: int | None = None
    patch_size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    resize: str | None = None
    interpolation: str | None = None
    embed_dim: int = 0
    context_length: int | None = None
    activation: str = "gelu"
    tokenizer: str | None = None
    pooling: str | None = None
    tag: str | None = None
    zero_shot: Mapping[str, float] = field(default_factory=dict)
    source: str = ""

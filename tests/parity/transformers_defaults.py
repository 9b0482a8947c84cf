"""What a configuration leaves out, against the value that `transformers` gives it.

    python tests/parity/transformers_defaults.py

Needs the extra `parity`.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import transformers

from dual_encoder.checkpoints.huggingface import defaults, image_encoders

CONFIGS = {
    "BertConfig": defaults.BERT,
    "CLIPTextConfig": defaults.CLIP_TEXT,
    "CLIPVisionConfig": defaults.CLIP_VISION,
    "ChineseCLIPTextConfig": defaults.BERT,
    "ChineseCLIPVisionConfig": defaults.CLIP_VISION,
    "ConvNextConfig": image_encoders.CONVNEXT,
    "ConvNextV2Config": image_encoders.CONVNEXT,
    "DINOv3ViTConfig": image_encoders.DINOV3,
    "DeiTConfig": defaults.VIT,
    "Dinov2Config": image_encoders.TOWERS["dinov2"][0],
    "Dinov2WithRegistersConfig": image_encoders.TOWERS["dinov2_with_registers"][0],
    "MetaClip2TextConfig": defaults.CLIP_TEXT,
    "MetaClip2VisionConfig": defaults.CLIP_VISION,
    "RobertaConfig": defaults.ROBERTA,
    "SiglipTextConfig": defaults.SIGLIP_TEXT,
    "SiglipVisionConfig": defaults.SIGLIP_VISION,
    "SwinConfig": image_encoders.SWIN,
    "ViTConfig": defaults.VIT,
    "ViTMAEConfig": defaults.VIT,
    "XLMRobertaConfig": defaults.XLM_ROBERTA,
}

# DINOv2 without registers has no such key; SigLIP's projection is as wide as its text tower.
OTHERWISE = {"Dinov2Config": {"num_register_tokens"}, "SiglipTextConfig": {"projection_size"}}


def main() -> int:
    """Print a line for each configuration; 1 if a value differs."""
    wrong = 0
    for name, table in CONFIGS.items():
        theirs = getattr(transformers, name)().to_dict()
        ours = {key: table[key] for key in table.keys() - OTHERWISE.get(name, set())}
        differ = {key: theirs.get(key) for key in ours if theirs.get(key) != ours[key]}
        wrong += bool(differ)
        print(f"{name:28} {len(ours):3} values  {f'theirs: {differ}' if differ else 'ok'}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

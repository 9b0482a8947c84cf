"""What a configuration leaves out has the value that `transformers` gives it."""

import importlib

import pytest

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


@pytest.mark.parametrize("name", CONFIGS)
def test_defaults_are_those_of_transformers(name):
    pytest.importorskip("transformers")
    theirs = getattr(importlib.import_module("transformers"), name)().to_dict()
    ours = {key: CONFIGS[name][key] for key in CONFIGS[name].keys() - OTHERWISE.get(name, set())}
    assert {key: theirs.get(key) for key in ours} == ours

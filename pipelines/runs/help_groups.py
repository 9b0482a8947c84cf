"""Groups of options in the help of commands, and the most important ones.

An option that stands in no group here is listed last, under "more".
"""

GROUPS: dict[str, str] = {
    "data and model": """
        data images model models revision index run dataset folder labels captions splits split test
        image_column caption_column label_column multi_label ignore_columns class_names language
        templates prompts data_dir download all_as validation_share test_share limit validation
        split_seed held_out held_out_classes held_out_seed distractors captions_per_image
        query queries image build dry_run exclude""",
    "method": """
        method methods protocol head shots seeds base_to_new budget recipes image_tower text_tower
        image_weights text_weights weights freeze image_size embed_dim projection_depth
        vocabulary_size context_length batch_norm last_blocks lora_rank wise_ft n_ctx position
        class_specific words conditional_words views search check k top_k threshold format int8
        calibration_split calibration_images folds""",
    "training": """
        epochs prompt_epochs conditional_epochs batch_size conditional_batch_size learning_rate
        supervised_learning_rate head_multiplier layer_decay optimizer beta_1 beta_2 epsilon
        momentum weight_decay schedule warmup_steps min_learning_rate clip_norm ema early_stopping
        plateau plateau_factor class_weight loss temperature dropout label_smoothing crop_scale
        flip rand_augment random_erasing mixup cutmix seed""",
    "devices": """
        strategy virtual_devices precision micro_batch recompute workers runner beam_options
        chunk""",
    "output": """
        out sheet sort_into link html json results bootstrap price serving_seconds checkpoint_steps
        judge_by short_side shard_size max_rejected port max_upload""",
}

#: The options of a command that its short help has; of a command that is not here, all.
BASIC: dict[str, str] = {
    "prepare": "folder labels captions images dataset multi_label test_share limit out short_side",
    "inspect": "data model split out",
    "train": "data model image_tower text_tower epochs batch_size learning_rate early_stopping "
    "strategy out",
    "finetune": "data model held_out validation method epochs batch_size learning_rate "
    "early_stopping out",
    "prompt": "data models class_names held_out methods shots seeds base_to_new epochs out",
    "evaluate": "data model split class_names templates prompts protocol batch_size bootstrap out",
    "predict": "model images class_names templates prompts top_k threshold out sheet sort_into",
    "export": "model data class_names templates prompts format int8 top_k results out",
    "compare": "data model held_out methods seeds shots budget recipes epochs out",
    "retrieve": "index build folder data model query image k html json",
}

#: What other libraries call an option; the first name on the right that the command has is meant.
USUAL: dict[str, str] = {
    "lr": "learning_rate",
    "patience": "early_stopping",
    "device": "strategy",
    "devices": "strategy",
    "gpu": "strategy",
    "gpus": "strategy",
    "batch": "batch_size",
    "bs": "batch_size",
    "num_epochs": "epochs",
    "scheduler": "schedule",
    "lr_schedule": "schedule",
    "reduce_lr": "plateau",
    "wd": "weight_decay",
    "dtype": "precision",
    "mixed_precision": "precision",
    "amp": "precision",
    "fp16": "precision",
    "accumulate": "micro_batch",
    "gradient_accumulation": "micro_batch",
    "validation_split": "validation validation_share",
    "val_split": "validation validation_share",
    "output": "out",
    "output_dir": "out",
    "save_dir": "out",
    "folder": "data images",
    "dir": "data folder images",
    "directory": "data folder images",
    "dataset": "data",
    "records": "data",
    "path": "data images",
    "input": "images data",
    "source": "images data",
    "photos": "images folder data",
    "csv": "labels captions",
    "tsv": "labels captions",
    "table": "labels captions",
    "annotations": "labels captions",
    "checkpoint": "model models",
    "backbone": "model models",
    "network": "model models",
    "arch": "model models",
    "classes": "class_names",
    "names": "class_names",
    "labels": "class_names",
    "topk": "top_k",
    "k": "top_k",
    "augment": "rand_augment",
}

"""Build the initial model of `train`: towers or a pretrained dual encoder, and a tokenizer."""

import dataclasses
from typing import TYPE_CHECKING, Any

from pipelines.runs.rerun_command import flag

if TYPE_CHECKING:
    from dual_encoder import DualEncoder, Tokenizer
    from pipelines.training.data import Pairs


FROZEN = {"none": (), "image": ("image",), "text": ("text",), "both": ("image", "text")}

# Options of the architecture, which a pretrained dual encoder already determines.
OF_TOWERS = (
    *("image_tower", "text_tower", "image_weights", "text_weights", "embed_dim", "dropout"),
    *("projection_depth", "loss", "temperature", "vocabulary_size", "context_length"),
)


def check(options: Any) -> None:
    """Raise a ValueError for options of `train` that contradict each other."""
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    if options.text_weights and options.vocabulary_size != defaults["vocabulary_size"]:
        raise ValueError(
            "--vocabulary-size is of a vocabulary that is learnt; --text-weights has its own"
        )
    if options.model is None:
        for tower in FROZEN[options.freeze]:
            if not getattr(options, f"{tower}_weights"):
                raise ValueError(
                    f"--freeze {options.freeze}: the {tower} tower has random weights and would "
                    f"never learn; give --{tower}-weights or --model"
                )
        return
    for name in OF_TOWERS:
        if getattr(options, name) != defaults[name]:
            raise ValueError(f"{flag(name)} makes a new model; with --model the model has its own")


def pretrained(options: Any) -> "DualEncoder | None":
    """Returns the model of `--model`, or None without it.

    Raises:
        FileNotFoundError, ConnectionError, ValueError: see `dual_encoder.load`.
        ValueError: it has one tower, or no tokenizer.
    """
    if options.model is None:
        return None
    import dual_encoder
    from pipelines.runs import models, runtime

    model = models.load(options.model, image_size=options.image_size)
    runtime.say_kept_precision(model, options.model)
    if not isinstance(model, dual_encoder.DualEncoder) or model.tokenizer is None:
        raise ValueError(
            f"--model: expected a dual encoder with its tokenizer; {options.model} is "
            f"{type(model).__name__}{models.dual_encoder_beside(options.model)}"
        )
    return model


def tokenizer(options: Any, data: "Pairs") -> "Tokenizer":
    """Returns the tokenizer of the text tower's weights, or one learnt from the captions."""
    import dual_encoder

    if options.text_weights:
        return dual_encoder.text_tokenizer(
            options.text_weights, context_length=options.context_length
        )
    return data.learn_tokenizer(
        context_length=options.context_length, vocabulary_size=options.vocabulary_size
    )


def put_together(options: Any, tokenizer: "Tokenizer") -> "DualEncoder":
    """Returns a built dual encoder from the two towers of the options."""
    import dual_encoder

    image_tower = dual_encoder.image_tower(
        options.image_tower, image_size=options.image_size, weights=options.image_weights
    )
    text_tower = dual_encoder.text_tower(
        options.text_tower, tokenizer, weights=options.text_weights
    )
    model = dual_encoder.DualEncoder(
        image_tower,
        text_tower,
        embed_dim=options.embed_dim,
        projection_depth=options.projection_depth,
        dropout=options.dropout,
        loss_name=options.loss,
        temperature=options.temperature,
        tokenizer=tokenizer,
    )
    model.build()
    return model


def freeze(model: "DualEncoder", which: str, *, batch_norm: str = "trained") -> None:
    """Freeze the towers of an entry of `FROZEN`, and batch normalisation that has learnt where it
    is to be `"kept"`; unfreeze the rest. Heads stay trainable."""
    from classifiers import trainable

    model.image_tower.trainable = "image" not in FROZEN[which]
    model.text_tower.trainable = "text" not in FROZEN[which]
    if batch_norm == "kept":
        trainable.keep_batch_norms(model)

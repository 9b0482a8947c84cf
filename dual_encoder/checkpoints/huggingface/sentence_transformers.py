"""Read what sentence-transformers writes beside a text encoder: its texts, pooling, other steps."""

from pathlib import Path
from typing import Any

from dual_encoder.checkpoints.json_schemas import POOLING, read_json
from dual_encoder.checkpoints.tokenizers.read import bounded, longest_text
from duet import json_validation

STEPS = ("Transformer", "Pooling", "Normalize")  # the last is left to whoever compares

POOLINGS = {"cls": "first", "mean": "mean"}

STEPS_FILE = "modules.json"

MODULES = {"modules": [{"type": str, "path?": str}]}

# Where its versions keep how texts are read; the first that says anything counts.
TEXT_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

NOTHING = json_validation.Kind("nothing, for its effect is unknown", lambda value: not value)

TEXTS = {
    "max_seq_length?": (None, json_validation.up_to(1 << 24)),
    "do_lower_case?": (None, bool),
    "transformer_task?": json_validation.one_of("feature-extraction"),
    "module_output_name?": json_validation.one_of("token_embeddings"),
    "modality_config?": {
        "text": {
            "method": json_validation.one_of("forward"),
            "method_output_name": json_validation.one_of("last_hidden_state"),
        },
        "*": NOTHING,
    },
    "*": NOTHING,
}


PROMPTS = {"default_prompt_name?": None}  # another would begin every text


def texts(folder: Path, *, most: int) -> dict[str, Any]:
    """How texts become ids: what `read_tokenizer` takes as `context_length` and `lower`.

    A `max_seq_length` counts before the `model_max_length` of tokenizer_config.json.

    Args:
        folder: need not be of sentence-transformers.
        most: tokens that the model has positions for.

    Raises:
        ValueError: a setting of another kind, or one that is unknown and not empty.
    """
    settings: dict[str, Any] = {"max_seq_length": longest_text(folder, most=most)}
    prompts = _root(folder) / "config_sentence_transformers.json"
    if prompts.is_file():
        json_validation.read(prompts, PROMPTS)
    written = (read_json(folder, name, TEXTS) for name in TEXT_FILES if (folder / name).is_file())
    settings |= next(filter(None, written), {})
    return {
        "context_length": bounded(settings["max_seq_length"], most=most),
        "lower": settings.get("do_lower_case") or False,
    }


def pooling(folder: Path) -> str | None:
    """How the features of a text's tokens become one; None where the folder does not say.

    Raises:
        ValueError: another pooling than `POOLINGS`, or several; a step that is not of `STEPS`,
            such as a dense layer.
    """
    where = _pooling_folder(folder)
    if not (where / "config.json").is_file():
        return None
    modes = read_json(where, "config.json", POOLING)
    prefix, suffix = "pooling_mode_", "_token"
    chosen = {
        key.removeprefix(prefix).removesuffix("s").removesuffix(suffix)
        for key, value in modes.items()
        if key.startswith(prefix) and value is True
    }
    chosen |= {str(modes["pooling_mode"])} if "pooling_mode" in modes else set()
    if len(chosen) != 1 or not chosen <= POOLINGS.keys():
        raise ValueError(
            f"{folder}: expected {' or '.join(POOLINGS)} pooling in {where.name}/config.json; got "
            f"{' and '.join(sorted(chosen)) or 'none'}"
        )
    return POOLINGS[chosen.pop()]


def _pooling_folder(folder: Path) -> Path:
    """Where the step that pools has its settings, if all steps are known."""
    folder = _root(folder)
    path = folder / STEPS_FILE
    if not path.is_file():
        return folder / "1_Pooling"
    found = _steps(path)
    kinds = [step["type"].rpartition(".")[2] for step in found]
    if unknown := [kind for kind in kinds if kind not in STEPS]:
        raise ValueError(
            f"{path}: expected steps of {', '.join(STEPS)}; got {json_validation.shown(unknown[0])}"
        )
    return folder / next((step.get("path", "") for step in found if _pools(step)), "1_Pooling")


def _root(folder: Path) -> Path:
    """The folder that has the steps: in older layouts that around the model, `0_Transformer`."""
    around = folder.resolve().parent
    if (folder / STEPS_FILE).is_file() or not (around / STEPS_FILE).is_file():
        return folder
    is_step = any(step.get("path") == folder.resolve().name for step in _steps(around / STEPS_FILE))
    return around if is_step else folder


def _steps(path: Path) -> list[dict]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return json_validation.parse(f'{{"modules": {text}}}', MODULES, name=str(path))["modules"]


def _pools(step: dict) -> bool:
    return step["type"].endswith("Pooling") and json_validation.is_file_name(step.get("path"))

"""Error messages for names, files and folders that are not a model."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from dual_encoder.checkpoints import CHECKPOINTS
from dual_encoder.checkpoints.open_clip.tags import open_clip_tags
from dual_encoder.checkpoints.weights.weight_files import CONFIGS, is_weights, nothing_found
from duet import name_list

# As other libraries and a browser write what is `hf://org/repo` here.
ELSEWHERE = re.compile(
    r"(?:hf-hub:|local-dir:|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/+)?"
    r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:/(?:tree|resolve|blob)/(?P<revision>[^/]+).*)?/?"
)


OTHERS = {  # what else of Duet's a folder may be, by a file in it
    "manifest.json": "records",
    "export.json": "an export, which `predict` takes",
    "inspection.json": "what `inspect` found",
    "index.json": "an index of `retrieve`",
}


PROMPTS, RUN = "prompts.safetensors", "/model.keras"  # what `prompt` and a run leave


EXPECTED = (
    "a .keras file, a folder, hf://org/repo, or a name that `python -m pipelines models` lists"
)


def no_model(name: str) -> str:
    """Of a name that is neither a file, a folder nor in a table."""
    return f"no model {name!r}; expected {EXPECTED}{hint(name)}"


def hint(name: str) -> str:
    """A question that ends an error, if there are names like this one; else nothing."""
    close = _similar(name)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _similar(name: str) -> list[str]:
    """What lies beside it, or else the hub's name, if it may be one, and those of both tables."""
    folder = Path(name).parent
    if folder.name and folder.is_dir():
        beside = [
            each.name for each in folder.iterdir() if each.is_dir() or each.suffix == ".keras"
        ]
        close = difflib.get_close_matches(Path(name).name, beside, n=2)
        return [str(folder / each) for each in close]
    known = {each.lower(): each for each in (*CHECKPOINTS, *open_clip_tags())}
    openai = f"{re.sub('[/@]', '-', name).removesuffix('px')}/openai".lower()
    if openai in known:  # ViT-L/14@336px, as OpenAI's own package has it
        return [known[openai]]
    close = difflib.get_close_matches(name.lower(), known, n=2)
    return _on_the_hub(name) + [known[each] for each in close]


def _on_the_hub(name: str) -> list[str]:
    found = ELSEWHERE.fullmatch(name)
    models = {tag.model.lower() for tag in open_clip_tags().values()}
    if not found or name.split("/")[0].lower() in models:
        return []
    revision = f"@{found['revision']}" if found["revision"] not in (None, "main") else ""
    return [f"hf://{found['repository']}{revision}"]


def no_keras_file(path: Path) -> str:
    """Of a file that Keras did not write."""
    if path.name == PROMPTS:
        return _prompts(path)
    if is_weights(path.name):
        return (
            f"{path}: weights alone are no model; expected {_of_openai(path)}the folder that they "
            f"lie in, with {' or '.join(CONFIGS.values())}, and a tokenizer, beside them"
        )
    return f"{path}: expected a .keras file; got {path.suffix or 'no suffix'!r}"


def _prompts(path: Path) -> str:
    return f"{path} holds learnt prompts; expected the model of them, and --prompts {path}"


def _of_openai(path: Path) -> str:
    """The name of the same weights on the hub, of a file as OpenAI's `clip.load` keeps it."""
    tag = open_clip_tags().get(f"{path.stem.removesuffix('px')}/openai")
    if path.suffix != ".pt" or tag is None or tag.refusal:
        return ""
    names = (name for name, row in CHECKPOINTS.items() if row.tag == tag.name)
    return (
        f"{next(names, tag.name)}, the same from the hub (settings and tokenizer for a folder are "
        f"in hf://{tag.repository}), or "
    )


def adapter(folder: Path) -> str:
    """Of a folder with an adapter of PEFT, by itself or beside weights."""
    return (
        f"{folder}: expected a model's weights alone; got adapter_config.json, an adapter such as "
        f"LoRA's; merge_and_unload() and save_pretrained() of PEFT make one model of both"
    )


def no_layout(folder: Path, names: Iterable[str]) -> str:
    """Of a folder whose files are of no layout that is known."""
    names = list(names)
    if (folder / "snapshots").is_dir():
        snapshots = sorted(path.name for path in (folder / "snapshots").iterdir())
        return f"{folder}: expected one of its snapshots: {', '.join(snapshots) or 'it has none'}"
    if others := [what for file, what in OTHERS.items() if (folder / file).is_file()]:
        return f"{folder} holds {others[0]}; expected a model: {EXPECTED}"
    if runs := sorted(str(path.parent) for path in folder.glob("runs/*/seed-*/model.keras")):
        return f"{folder} is a comparison; expected one of its runs: {', '.join(runs)}"
    if learnt := sorted(name for name in names if Path(name).name == PROMPTS):
        return _prompts(folder / learnt[0])
    if runs := sorted(str(folder / name[: -len(RUN)]) for name in names if name.endswith(RUN)):
        return f"{folder}: expected one of the runs in it: {', '.join(runs)}"
    inside = {path.parent.name for each in CONFIGS.values() for path in folder.glob(f"*/{each}")}
    if inside:
        named = name_list.first_of(sorted(inside))
        return f"{folder}: expected one of the folders in it with a model: {named}"
    if any(map(is_weights, names)):
        return nothing_found(folder, names)
    return (
        f"{folder}: no model.keras in this folder (has the run finished?), and no "
        f"{' or '.join(CONFIGS.values())} as published checkpoints have them"
    )

"""Resolve a model's name: a comparison's recommended method, or the model of learnt prompts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.methods import prompts
from pipelines.runs import class_name_options as runs_class_names
from pipelines.runs import option_parsing, results
from pipelines.runs.folder import CONFIG, RECORDS
from pipelines.runs.models import MODEL

if TYPE_CHECKING:
    from tfrecords import Manifest

PROMPTS = prompts.FILE


@dataclass(frozen=True)
class Source:
    """What is loaded.

    Attributes:
        model: a `.keras` file, a folder or a checkpoint's name.
        class_names: of a dual encoder; templates: of it.
        prompts: file of learnt prompts.
        data: folder of records whose names and templates are read where none were given.
        data_templates: of the run itself, in place of those of its records.
        said: what was chosen, for people; empty where there was no choice.
    """

    model: str
    class_names: tuple[str, ...] | None = None
    templates: tuple[str, ...] | None = None
    prompts: str | None = None
    data: str | None = None
    data_templates: tuple[str, ...] | None = None
    said: str = ""

    def manifest(self) -> "Manifest | None":
        """Of the records, with the templates of the run; None without records, or class names."""
        from tfrecords import Manifest

        if self.data is None:
            return None
        found = Manifest.read(self.data)
        if self.data_templates:
            chosen = runs_class_names.templates(list(self.data_templates), found)
            found = replace(found, templates=tuple(chosen))
        return found if found.class_names else None

    @property
    def folder(self) -> str:
        """Where the results of the run lie, if it has any."""
        own = Path(self.prompts).parent if self.prompts else None
        return str(own) if own and (own / results.FILE).is_file() else self.model


def find(asked: Source) -> Source:
    """What `asked.model` stands for; what was given with it stays.

    Raises:
        ValueError: a comparison that recommends nothing or a method that leaves no model, or a
            run of prompts of which there are several.
    """
    path = Path(asked.model)
    if path.is_file() and path.suffix == ".safetensors":
        return _of_prompts(asked, path)
    if not path.is_dir() or (path / MODEL).is_file():
        return _with_own_records(asked, path)
    if (path / results.FILE).is_file():
        document = results.read(path)
        try:
            if document["command"] == "compare":
                return _recommended(asked, path, document)
            is_cell = document["command"] == "prompt" and "table" not in document
            if is_cell and not (path / PROMPTS).is_file():
                return _of_cell(asked, path, document)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(
                f"--model: {path / results.FILE} is not as Duet writes it "
                f"({type(error).__name__}: {error})"
            ) from None
    found = (
        [path / PROMPTS] if (path / PROMPTS).is_file() else sorted(path.glob(f"cells/**/{PROMPTS}"))
    )
    if len(found) > 1:
        choices = ", ".join(str(each.parent) for each in found)
        raise ValueError(f"--model: {path} has prompts of several runs; expected one of {choices}")
    if not found and (cells := sorted(path.glob(f"cells/**/zero-shot/**/{results.FILE}"))):
        raise ValueError(
            f"--model: {path} has no learnt prompts; expected a run of "
            f"{', '.join(prompts.LEARNT)}, or {cells[0].parent}"
        )
    return _of_prompts(asked, found[0]) if found else asked


def _of_prompts(asked: Source, path: Path) -> Source:
    """The model that prompts were learnt with."""
    import dual_encoder

    about = dual_encoder.describe_prompts(path)
    said = asked.said or f"prompts of {path.parent}"
    return replace(asked, model=about["backbone"], prompts=asked.prompts or str(path), said=said)


def _with_own_records(asked: Source, path: Path) -> Source:
    """Of a run that trained a dual encoder on named classes: the names of its records, in its own
    templates; other records that were asked for have their own."""
    folder = path if path.is_dir() else path.parent
    if asked.class_names or asked.prompts or not (folder / CONFIG).is_file():
        return asked
    begun = option_parsing.read_config(folder / CONFIG)
    data = begun.get("data")
    if data is None or not (Path(data) / RECORDS).is_file():
        return asked
    if asked.data and Path(asked.data).resolve() != Path(data).resolve():
        return asked
    given = begun.get("templates")
    if (folder / results.FILE).is_file():
        document = results.read(folder)
        if not _are_of(document, data):
            return asked
        if given:  # as read then: a file may be another by now
            given = document.get("templates") or given
    return replace(asked, data=data, data_templates=_listed(given))


def _are_of(document: dict[str, Any], data: str) -> bool:
    """Whether records have the classes that a run measured: seen from another working directory,
    others may lie under the same name."""
    from tfrecords import Manifest

    if not document.get("per_class") or not (Path(data) / RECORDS).is_file():
        return True
    found = Manifest.read(data)
    return any(results.is_of(document, each) for each in (found.class_names, found.spoken_names))


def own_templates(model: str, data: str) -> list[str] | None:
    """Those that a run was given with `--templates`, if it learnt from the records of `data`."""
    if not Path(model).exists():  # the name of a checkpoint
        return None
    found = _with_own_records(Source(model, data=data), Path(model)).data_templates
    return list(found) if found else None


def _recommended(asked: Source, folder: Path, document: dict[str, Any]) -> Source:
    """The run of the method that a comparison recommends, with its first seed that has ended."""
    method, begun = document["recommendation"]["method"], document["config"]
    tuned = {each.parent.name: each for each in sorted(folder.glob("runs/*/seed-*"), reverse=True)}
    if method is None:
        raise ValueError(
            f"--model: {folder} recommends no method ({document['recommendation']['answer']}); "
            f"expected one of its runs: {_listing(tuned)}"
        )
    asked = replace(asked, said=f"{method}, which {folder} recommends")
    runs = [folder / "runs" / method / f"seed-{seed}" for seed in begun["seeds"]]
    if there := [run for run in runs if run.is_dir()]:
        run = next((each for each in there if (each / MODEL).is_file()), there[0])
        return _with_own_records(replace(asked, model=str(run)), run)
    cells = (folder / "runs" / "prompt" / "cells").glob(f"*/{method}/*-shot/seed-*")
    by_seed = {each.name: each for each in sorted(cells, key=_shots)}  # of most shots, as the table
    cell = by_seed.get(f"seed-{begun['seeds'][0]}") or next(iter(by_seed.values()), None)
    if cell is None:
        raise FileNotFoundError(f"--model: {folder} holds no run of {method}, its recommendation")
    if (cell / PROMPTS).is_file():
        return _of_prompts(asked, cell / PROMPTS)
    if method != "zero-shot":
        raise ValueError(
            f"--model: {folder} recommends {method}, which leaves no model to use elsewhere; "
            f"expected one of its runs: {_listing(tuned)}"
        )
    return _of_cell(asked, cell, results.read(cell))


def _shots(cell: Path) -> tuple[int, Path]:
    """Images per class of a cell, and the cell."""
    return int(cell.parent.name.removesuffix("-shot")), cell


def _of_cell(asked: Source, folder: Path, document: dict[str, Any]) -> Source:
    """Zero-shot of the command prompt: the model, and the names and templates of its records."""
    if document["method"] != "zero-shot":
        raise ValueError(
            f"--model: {folder} is a run of {document['method']}, which leaves no model to use "
            f"elsewhere; expected one of {', '.join(prompts.LEARNT)} or zero-shot"
        )
    own = _listed(document.get("templates") or document["config"]["templates"])
    data = asked.data or (None if asked.class_names else document["config"]["data"])
    names, templates = asked.class_names, asked.templates
    if names is None and asked.data is None and document["config"]["class_names"]:
        names, data = tuple(row["name"] for row in document["per_class"]), None
        templates = templates or own
    if data is not None and data != asked.data and not _are_of(document, data):
        raise ValueError(
            f"--model: the records {data} have other classes here than {folder} was measured on; "
            "expected --data or --class-names"
        )
    return replace(
        asked,
        model=document["model"],
        class_names=names,
        templates=templates,
        data=data,
        data_templates=own,
    )


def _listing(tuned: dict[str, Path]) -> str:
    return ", ".join(map(str, tuned.values())) or "none has a model"


def _listed(found: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(found) if found else None

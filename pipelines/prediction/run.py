"""Run `predict`: classify images in batches, then write the files."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from duet import atomic_files, name_list
from pipelines.prediction import answers, contact_sheet, journal, predict_batches, sorting
from pipelines.prediction.answers import Answer
from pipelines.prediction.images import Found
from pipelines.prediction.journal import Journal
from pipelines.prediction.options import Options, unreadable_file
from pipelines.prediction.predictor import Predictor
from pipelines.runs import rerun_command

NAMED = 5  # classes of the summary


def check_free(options: Options) -> None:
    """FileExistsError where a file to be is there already, unless an earlier try of it began it."""
    out, begun = Path(options.out), journal.begun(Path(options.out))
    taken = {"--out": [out, unreadable_file(out)] if begun is None else [], "--sheet": []}
    theirs = None if begun is None else begun.get(journal.SHEET, options.sheet)
    if options.sheet and theirs != options.sheet:
        taken["--sheet"].append(Path(options.sheet))
    for flag, paths in taken.items():
        for path in paths:
            if path.exists():
                raise FileExistsError(f"{path} exists; give {flag} another name")


def run(options: Options, model: Predictor, found: Found) -> list[str]:
    """Predict what is not done yet and write the files. Returns what to say of it.

    Raises:
        KeyboardInterrupt: with how far it came.
        RuntimeError: not one image could be read; nothing is written.
    """
    if options.sort_into:
        sorting.check_names(model.class_names)
    out, written = Path(options.out), False
    answers.check_names(model, out, sets=options.sure)
    try:
        with journal.held(out):
            said, bad = _answered(options, model, found, out)
            written = True
    except KeyboardInterrupt:
        if not written or journal.folder_of(out).is_dir():  # else it came too late
            raise
    return summary(options, found, said, bad)


def _answered(
    options: Options, model: Predictor, found: Found, out: Path
) -> tuple[list[Answer], dict[str, str]]:
    """Predict and write, and remove the journal: the answers, and why files have none."""
    kept = Journal(out, _about(options, model), multi_label=model.multi_label)
    try:
        _predict(options, model, found, kept)
    except KeyboardInterrupt:
        done = sum(file in kept for file in found.loads)
        raise KeyboardInterrupt(
            f"interrupted; {done:,} of {len(found.loads):,} images are done, and the same "
            "command goes on"
        ) from None
    said = [kept.done[file] for file in found.loads if file in kept.done]
    bad = {file: kept.unreadable[file] for file in found.loads if file in kept.unreadable}
    if not said:
        kept.remove()
        why = name_list.first_of([f"{file} ({reason})" for file, reason in bad.items()], 3)
        raise RuntimeError(f"none of {len(bad):,} files can be read as an image: {why}")
    if options.sort_into:
        with _bar("sorting", len(said)) as advance:
            folder = Path(options.sort_into)
            sorting.sort(said, folder, link=options.link, advance=advance)
    _write(options, model, found, said, bad)
    kept.remove()
    return said, bad


def _about(options: Options, model: Predictor) -> dict:
    """What must be the same for a try to go on."""
    return {
        "model": model.name,
        "checksum of the model": model.checksum and model.checksum(),
        "class_names": list(model.class_names),
        "templates": options.templates,
        "prompts": options.prompts,
        "data": options.data,
        "top_k": options.top_k,
        "threshold": options.threshold,
        "sure": options.sure,
        "first_frame": options.first_frame,
        "max_pixels": options.max_pixels,
        journal.SHEET: options.sheet,
    }


def _predict(options: Options, model: Predictor, found: Found, kept: Journal) -> None:
    todo = [(file, load) for file, load in found.loads.items() if file not in kept]
    done = len(found.loads) - len(todo)
    with _bar("predicting", len(found.loads), initial=done) as advance:
        for said, unreadable in predict_batches.batches(
            model,
            todo,
            batch_size=min(options.batch_size, len(found.loads)),  # batches are filled up
            threshold=options.threshold,
            sure=options.sure,
            top_k=options.top_k,
            first_frame=options.first_frame,
            max_pixels=options.max_pixels,
        ):
            kept.add(said, unreadable)
            advance(len(said) + len(unreadable))


@contextlib.contextmanager
def _bar(what: str, total: int, initial: int = 0) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal; nothing in a file."""
    from tqdm import tqdm

    no_bar = rerun_command.no_bar()
    with tqdm(desc=what, total=total, initial=initial, unit=" images", disable=no_bar) as bar:
        yield bar.update


def _write(
    options: Options, model: Predictor, found: Found, said: list[Answer], bad: dict[str, str]
) -> None:
    """All files; the one that was asked for comes last, and by it the command is finished."""
    out = Path(options.out)
    if bad:
        rows = [("file", "reason"), *bad.items()]
        atomic_files.write(unreadable_file(out), answers.csv_bytes(rows))
    if options.sheet:
        with _bar("drawing the page", min(len(said), contact_sheet.MOST)) as advance:
            page = contact_sheet.page(
                said,
                found.loads,
                model=model.name,
                unreadable=bad,
                max_pixels=options.max_pixels,
                advance=advance,
            )
        atomic_files.write(options.sheet, page)
    top_k, several = min(options.top_k, len(model.class_names)), model.multi_label
    atomic_files.write(out, answers.table(said, out, top_k=top_k, multi_label=several))


def summary(options: Options, found: Found, said: list[Answer], bad: dict[str, str]) -> list[str]:
    """The answers in a few lines for a terminal."""
    import tfrecords

    counts = Counter(name for each in said for name in each.labels)
    most = NAMED if len(counts) > NAMED + 1 else len(counts)  # one more takes no more words
    named = [f"{count:,} {name}" for name, count in counts.most_common(most)]
    if others := sorted(counts.values(), reverse=True)[most:]:
        named.append(f"{sum(others):,} of {len(others):,} other classes")
    if unsure := sum(not each.labels for each in said):
        named.append(f"{unsure:,} not sure enough")
    lines = [f"{name_list.counted(len(said), 'image')}: {', '.join(named)}"]
    if bad:
        which = unreadable_file(Path(options.out))
        lines.append(f"files that cannot be read: {len(bad):,}; {which} says why")
    lines += tfrecords.passed_over(found.passed_over)
    written = f"Written to {options.out}"
    if options.sort_into:
        written += f", sorted into {options.sort_into}"
    lines.append(f"{written}; open {options.sheet}" if options.sheet else written)
    return lines

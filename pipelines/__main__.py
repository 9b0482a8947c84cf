"""`python -m pipelines COMMAND`: finds the command, and turns what goes wrong into one line.

Exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted.
"""

import difflib
import importlib
import io
import os
import sys
import traceback
from pathlib import Path

from duet import files

COMMANDS = {
    "datasets": "what can be prepared: the catalogue of datasets",
    "models": "what can be trained or evaluated: checkpoints and towers",
    "prepare": "images to TFRecords, with a manifest",
    "train": "a dual encoder, from captions",
    "finetune": "a pretrained model on labelled images, without forgetting",
    "prompt": "prompts learnt from a few images per class, and what else can be done with these",
    "evaluate": "a model on a split: zero-shot by labels, retrieval by captions",
    "export": "a classifier anyone can run: SavedModel or LiteRT",
    "compare": "ways to adapt a model: a table, a page and a recommendation",
    "expected": "a run beside published figures of the same set, model and method",
    "retrieve": "images by words or by an image, from an index made once",
    "serve": "a page on this machine that finds images of an index",
}

HOUSE = Path(__file__).parents[1]

PACKAGES = ("duet", "tfrecords", "dual_encoder", "classifiers", "pipelines")


def main(argv: list[str] | None = None) -> int:
    """Run one command; `argv` without the program's name. Returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        return 0 if argv else 2
    command, *rest = argv
    if command not in COMMANDS:
        return _complain(_no_command(command), 2)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings are not news
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        module = importlib.import_module(f"pipelines.{command}")
        from pipelines.runs.config import parse

        return module.run(parse(module.Options, command=command, argv=rest)) or 0
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        return _complain(str(stop) or "interrupted", 130)
    except (RuntimeError, files.CannotWriteError) as error:
        return _user_error(error, 1)
    except (ValueError, OSError) as error:
        return _user_error(error, 2)


def _help() -> str:
    rows = [f"  {name:<10} {what}" for name, what in COMMANDS.items()]
    usage = "usage: python -m pipelines COMMAND [OPTIONS]"
    more = "`python -m pipelines COMMAND --help` lists the options of a command."
    return "\n".join([usage, "", "commands:", *rows, "", more])


def _no_command(name: str) -> str:
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"no command {name!r}; expected one of {', '.join(COMMANDS)}{hint}"


def _user_error(error: Exception, status: int) -> int:
    """One line if Duet itself raised it; anything else is a fault, with its traceback."""
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    if not any(raised_in.is_relative_to(HOUSE / package) for package in PACKAGES):
        traceback.print_exception(error)
        return 1
    return _complain(str(error), status)


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split()).encode("utf-8", "backslashreplace").decode()
    print(f"error: {line}", file=sys.stderr)  # names of files need not be text
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Entry point of `python -m pipelines COMMAND`: finds the command, and reports errors in one line.

Exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted, 141 the reader closed the pipe.
"""

import contextlib
import errno
import importlib
import io
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import duet
from duet import disk_errors, exception_summary, name_list
from pipelines.runs import rerun_command

COMMANDS = {
    "datasets": "what can be prepared: the catalogue of datasets",
    "models": "what can be trained or evaluated: checkpoints and towers",
    "prepare": "images to TFRecords, with a manifest",
    "inspect": "records: duplicates, wrong labels, spoilt images, before anything is trained",
    "train": "a dual encoder, from captions",
    "finetune": "a pretrained model on labelled images, without forgetting",
    "prompt": "prompts learnt from a few images per class, and what else can be done with these",
    "evaluate": "a model on a split: zero-shot by labels, retrieval by captions",
    "predict": "predict the classes of unlabelled images: a table, a page, sorted folders",
    "export": "a classifier anyone can run: SavedModel, LiteRT, ONNX, OpenVINO",
    "compare": "ways to adapt a model: a table, a page and a recommendation",
    "expected": "a run beside published figures of the same set, model and method",
    "retrieve": "images by words or by an image, from an index made once",
    "serve": "a page on this machine that finds images of an index",
}

GOES_ON = ("prepare", "train", "finetune", "prompt", "predict", "compare", "retrieve")  # if stopped

GLOBAL = ("--quiet", "--verbose")  # options of every command

NO_BARS = "TQDM_DISABLE"

# Of the machine, not of what was asked for.
SYSTEM = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE),
    *(errno.ENOMEM, errno.EFBIG),
)

TENSOR = re.compile(r"shape\[[\d,]*\] and type \w+")

LONGEST = 1000  # characters of an error; what a file holds may be quoted in it

BROKEN_PIPE = 141  # as a shell has it of a program that SIGPIPE ends

HOUSE = Path(__file__).parents[1]

PACKAGES = ("duet", "tfrecords", "dual_encoder", "classifiers", "pipelines")


def main(argv: list[str] | None = None) -> int:
    """Run one command; `argv` without the program's name. Returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    _open_closed_streams()
    try:
        seen = sys.stderr is not None and sys.stderr.isatty()  # either may be closed
        with _sigterm_is_ctrl_c(), _bars(quiet="--quiet" in argv or not seen):
            status = _main([word for word in argv if word not in GLOBAL], "--verbose" in argv)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader closed the pipe, as in `duet --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _open_closed_streams() -> None:
    """A stream that the caller closed leads nowhere: the next file that is opened would get its
    number, and what libraries print there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free


@contextlib.contextmanager
def _sigterm_is_ctrl_c() -> Iterator[None]:
    """Whoever stops a command tidily, as a container does, is answered as tidily."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can listen
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _bars(*, quiet: bool) -> Iterator[None]:
    """Without progress bars where `quiet`, as in a log file: tqdm reads this variable."""
    before = os.environ.get(NO_BARS)
    if quiet:
        os.environ[NO_BARS] = before or "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(NO_BARS, None)


def _main(argv: list[str], verbose: bool) -> int:
    if not argv or argv[0] in ("-h", "--help", "--help-all"):
        print(_help())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"duet {duet.__version__}")
        return 0
    if argv[0].split("=")[0] == "--print-completion":
        return _print_completion([part for word in argv for part in word.split("=", 1)][1:])
    command, *rest = argv
    if command not in COMMANDS:
        return _complain(_no_command(command), 2)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings are not news
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        module = importlib.import_module(f"pipelines.{command}")
        from pipelines.runs.option_parsing import parse

        return module.run(parse(module.Options, command=command, argv=rest)) or 0
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        more = "; the same command goes on" if command in GOES_ON else ""
        return _complain(str(stop) or f"interrupted{more}", 130)
    except BrokenPipeError:
        raise
    except (RuntimeError, disk_errors.CannotWriteError) as error:
        return _user_error(error, 1, verbose=verbose)
    except MemoryError as error:
        return _complain(f"out of memory ({error})".replace(" ()", ""), 1)
    except (ValueError, OSError) as error:
        return _user_error(error, 2, verbose=verbose)
    except Exception as error:
        if type(error).__name__ != "ResourceExhaustedError":  # TensorFlow's, not imported for it
            raise
        return _complain(_exhausted(error), 1)


def _exhausted(error: Exception) -> str:
    """What TensorFlow says of memory or a disk that was not enough, in a line."""
    if os.strerror(errno.ENOSPC) in str(error):
        return exception_summary.first_line(error)
    tensor = TENSOR.search(str(error))
    what = f" ({tensor[0]})" if tensor else ""
    return f"out of memory{what}; a smaller --batch-size or --micro-batch takes less"


def _print_completion(shells: list[str]) -> int:
    """A script for `source`, as in `source <(duet --print-completion bash)`."""
    from pipelines.runs import command_help

    options = {name: importlib.import_module(f"pipelines.{name}").Options for name in COMMANDS}
    try:
        print(command_help.completion(options, shell=shells[0] if shells else ""))
    except (ValueError, RuntimeError) as error:
        return _complain(str(error), 2 if isinstance(error, ValueError) else 1)
    return 0


def _help() -> str:
    name = rerun_command.program()
    rows = [f"  {command:<10} {what}" for command, what in COMMANDS.items()]
    about = [
        f"`{name} COMMAND --help` lists the options of a command that are needed first, "
        "`--help-all` all.",
        "With any command: --quiet (no progress bars; a log file has none anyway), --verbose",
        "(where in the program something went wrong). Alone: --version, --print-completion SHELL.",
    ]
    return "\n".join([f"usage: {name} COMMAND [OPTIONS]", "", "commands:", *rows, "", *about])


def _no_command(name: str) -> str:
    hint = name_list.did_you_mean(name, COMMANDS)
    return f"no command {name!r}; expected one of {', '.join(COMMANDS)}{hint}"


def _user_error(error: Exception, status: int, *, verbose: bool) -> int:
    """One line if Duet itself or the system raised it; all else is a fault, with its traceback."""
    if verbose:
        traceback.print_exception(error)
    if (
        isinstance(error, OSError)
        and error.errno
        and error.strerror
        and error.strerror in str(error)
    ):
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        said = ": ".join([*names, error.strerror.lower()])
        return _complain(said, 1 if error.errno in SYSTEM else status)
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    if not any(raised_in.is_relative_to(HOUSE / package) for package in PACKAGES):
        if not verbose:
            traceback.print_exception(error)
        return 1
    return _complain(str(error), status)


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split()).replace(rerun_command.MODULE, rerun_command.program())
    # Names of files need not be text, or are orders to the terminal.
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
    print(f"error: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())

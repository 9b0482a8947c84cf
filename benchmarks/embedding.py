"""Images and prompts per second of one ViT-B/32: ours, `transformers`' and `open_clip`'s.

All sides compute in float32 on all cores of a CPU, with random weights that are made once:

- `ours`: dual_encoder.load and encode_image, and the class embeddings of a zero-shot head.
- `transformers`: CLIPModel, sdpa attention, inference mode; and the same under torch.compile.
- `open_clip`: its CLIP with the same sizes, as it is and under torch.compile.

torch.compile compiles for every shape by itself and with the weights as constants, which is its
fastest setting. Images have their final size. Ours takes uint8 and normalises them; the others
get float tensors that were normalised beforehand, and leave out the unit length: generous to them.

The head is 101 classes in one template, at most 10 tokens a prompt. Ours goes from names to class
embeddings, tokenizer included; the others start at token ids. `padded` is what their users get:
rows of 77, as the published processors make them. `cut` is what a user of transformers can do by
hand; open_clip takes rows of 77 only. Ours cuts by itself, so both columns have it.

Each side runs in a process of its own. Rounds are interleaved, so that whatever else the machine
does hits all sides alike, and medians are compared. The first calls, which compile, do not count.
Loading is measured in a new process each time, imports done and the file in the system's cache.
transformers maps the file and leaves reading it to the first use, so the time is taken twice: when
`load` returns, and when every weight has been read once besides.

    python benchmarks/embedding.py [--batches 1 8 32] [--rounds 5] [--sides ours ...] [--json FILE]

The other libraries are not among Duet's dependencies, and sides whose library is missing are left
out: `make parity` installs them, or the CPU build of torch, transformers and open_clip_torch.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import importlib.util
import json
import math
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

CONFIG = {
    "model_type": "clip",
    "architectures": ["CLIPModel"],
    "projection_dim": 512,
    "vision_config": dict(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        image_size=224, patch_size=32, hidden_act="quick_gelu",
    ),
    "text_config": dict(
        hidden_size=512, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=8,
        vocab_size=49_408, max_position_embeddings=77, hidden_act="quick_gelu",
        bos_token_id=49_406, eos_token_id=49_407, pad_token_id=49_407,
    ),
}  # fmt: skip
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
START, END = "<|startoftext|>", "<|endoftext|>"
CLASSES, TEMPLATE = 101, "a photo of a {}."
PADDED, CUT = "prompts, padded", "prompts, cut"
PARITY = Path(__file__).parents[1] / "tests" / "parity"
Calls = dict[str, tuple[int, Callable[[], Any]]]  # by task: how many at once, and one call


# --- The checkpoint ---------------------------------------------------------------------------


def write_checkpoint(folder: Path) -> None:
    """Random weights of `CONFIG`'s sizes in the layout of `transformers`, with a tokenizer."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    tensors = {
        name: np.asarray(rng.standard_normal(shape, np.float32) * 0.02 + norm_scale(name))
        for name, shape in shapes(CONFIG).items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    pixels = dict(image_mean=MEAN, image_std=STD, resample=3, do_center_crop=True)
    size = {"size": {"shortest_edge": CONFIG["vision_config"]["image_size"]}}
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "preprocessor_config.json", pixels | size)
    write_json(folder / "tokenizer_config.json", {"pad_token": END, "eos_token": END})
    write_tokenizer(folder, CONFIG["text_config"]["vocab_size"])


def norm_scale(name: str) -> np.float32:
    """About which a tensor's numbers lie: 1 for the factors of layer norms."""
    return np.float32("norm" in name and name.endswith("weight"))


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a `CLIPModel`."""
    vision, text = config["vision_config"], config["text_config"]
    embed_dim, patch = config["projection_dim"], vision["patch_size"]
    patches = (vision["image_size"] // patch) ** 2
    image, words = vision["hidden_size"], text["hidden_size"]
    return {
        "logit_scale": (),
        "visual_projection.weight": (embed_dim, image),
        "text_projection.weight": (embed_dim, words),
        "vision_model.embeddings.class_embedding": (image,),
        "vision_model.embeddings.patch_embedding.weight": (image, 3, patch, patch),
        "vision_model.embeddings.position_embedding.weight": (patches + 1, image),
        "text_model.embeddings.token_embedding.weight": (text["vocab_size"], words),
        "text_model.embeddings.position_embedding.weight": (text["max_position_embeddings"], words),
        **norm("vision_model.pre_layrnorm", image),  # their spelling
        **norm("vision_model.post_layernorm", image),
        **norm("text_model.final_layer_norm", words),
        **blocks("vision_model.encoder.layers", vision),
        **blocks("text_model.encoder.layers", text),
    }


def blocks(prefix: str, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Of the transformer blocks of one tower."""
    width, hidden = config["hidden_size"], config["intermediate_size"]
    found: dict[str, tuple[int, ...]] = {}
    for i in range(config["num_hidden_layers"]):
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found |= linear(f"{prefix}.{i}.self_attn.{part}", width, width)
        found |= linear(f"{prefix}.{i}.mlp.fc1", width, hidden)
        found |= linear(f"{prefix}.{i}.mlp.fc2", hidden, width)
        found |= norm(f"{prefix}.{i}.layer_norm1", width)
        found |= norm(f"{prefix}.{i}.layer_norm2", width)
    return found


def linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def write_tokenizer(folder: Path, size: int) -> None:
    """One token a word, of made-up words; as many as the vocabulary has."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["a", "photo", "of", "."]
    words += [f"w{i}" for i in range(size - len(words) - 2)] + [START, END]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([START, END])
    ends = [(START, size - 2), (END, size - 1)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=ends
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


# --- What is encoded --------------------------------------------------------------------------


def images(folder: Path, batch: int) -> np.ndarray:
    """Pixels 0-255, uint8 [b, s, s, 3]."""
    size = read_config(folder)["vision_config"]["image_size"]
    shape = (batch, size, size, 3)
    return np.random.default_rng(0).integers(256, size=shape, dtype="uint8")


def class_names() -> list[str]:
    """Of one to three words, so that a prompt has at most ten tokens."""
    return [" ".join(f"w{i + k}" for k in range(1 + i % 3)) for i in range(CLASSES)]


def prompt_ids(folder: Path, *, cut: bool) -> np.ndarray:
    """Token ids of the prompts: rows of the whole context, or cut to the longest prompt."""
    from tokenizers import Tokenizer

    text = read_config(folder)["text_config"]
    length = None if cut else text["max_position_embeddings"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(pad_id=text["pad_token_id"], pad_token=END, length=length)
    prompts = [TEMPLATE.replace("{}", name) for name in class_names()]
    return np.array([row.ids for row in tokenizer.encode_batch(prompts)])


# --- The sides --------------------------------------------------------------------------------


def ours(folder: Path, batches: list[int]) -> Calls:
    import dual_encoder

    model = dual_encoder.load(folder)

    def encode(images: np.ndarray) -> np.ndarray:
        return np.asarray(model.encode_image(images))

    head = functools.partial(
        dual_encoder.ZeroShotClassifier.from_names, model, class_names(), [TEMPLATE]
    )
    calls: Calls = {
        task(batch): (batch, functools.partial(encode, images(folder, batch))) for batch in batches
    }
    return calls | {PADDED: (CLASSES, head), CUT: (CLASSES, head)}


def transformers(folder: Path, batches: list[int], *, compiled: bool) -> Calls:
    import torch
    from transformers import CLIPModel

    quiet_transformers()
    model = CLIPModel.from_pretrained(folder, attn_implementation="sdpa").eval()

    def image(x: torch.Tensor) -> Any:
        return model.get_image_features(pixel_values=x)

    def text(ids: torch.Tensor, mask: torch.Tensor) -> Any:
        return model.get_text_features(input_ids=ids, attention_mask=mask)

    inputs = {}
    for name, cut in ((PADDED, False), (CUT, True)):
        ids = prompt_ids(folder, cut=cut)
        ends = (ids == ids[0, -1]).argmax(axis=1)  # padded with the token that ends texts
        mask = np.arange(ids.shape[1]) <= ends[:, None]
        inputs[name] = torch.from_numpy(ids), torch.from_numpy(mask.astype("int64"))
    return torch_calls(image, text, folder, batches, inputs, compiled=compiled)


def quiet_transformers() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def open_clip(folder: Path, batches: list[int], *, compiled: bool) -> Calls:
    import torch

    config = read_config(folder)
    vision, text = config["vision_config"], config["text_config"]
    model = open_clip_model(
        embed_dim=config["projection_dim"],
        vision_cfg=dict(
            image_size=vision["image_size"],
            patch_size=vision["patch_size"],
            width=vision["hidden_size"],
            layers=vision["num_hidden_layers"],
            head_width=vision["hidden_size"] // vision["num_attention_heads"],
        ),
        text_cfg=dict(
            context_length=text["max_position_embeddings"],
            vocab_size=text["vocab_size"],
            width=text["hidden_size"],
            heads=text["num_attention_heads"],
            layers=text["num_hidden_layers"],
        ),
        quick_gelu=True,
    ).eval()
    inputs = {PADDED: (torch.from_numpy(prompt_ids(folder, cut=False)),)}
    return torch_calls(
        model.encode_image, model.encode_text, folder, batches, inputs, compiled=compiled
    )


def open_clip_model(**config: Any) -> Any:
    """Its CLIP; where there is no torchvision, which only training needs, with a stub of it."""
    if importlib.util.find_spec("torchvision") is None:
        sys.path.append(str(PARITY))
        from reference import stub_torchvision

        stub_torchvision()
    from open_clip.model import CLIP

    return CLIP(**config)


def torch_calls(
    image: Callable,
    text: Callable,
    folder: Path,
    batches: list[int],
    prompts: dict[str, tuple],
    *,
    compiled: bool,
) -> Calls:
    """Calls of a model's two functions, on all cores and without gradients."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    if compiled:
        import torch._inductor.config

        torch._inductor.config.freezing = True
        image, text = (torch.compile(each, dynamic=False) for each in (image, text))

    def run(function: Callable, *inputs: torch.Tensor) -> Any:
        with torch.inference_mode():
            return function(*inputs)

    calls: Calls = {}
    for batch in batches:
        pixels = (images(folder, batch) / 255 - MEAN) / STD
        x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), "float32"))
        calls[task(batch)] = batch, functools.partial(run, image, x)
    for name, inputs in prompts.items():
        calls[name] = CLASSES, functools.partial(run, text, *inputs)
    return calls


def task(batch: int) -> str:
    return f"images, {batch}"


@dataclass(frozen=True)
class Side:
    """One row of the table: what makes its calls, and the modules that it needs."""

    make: Callable[[Path, list[int]], Calls]
    needs: tuple[str, ...] = ()


TORCH, OPEN_CLIP = ("torch", "transformers"), ("torch", "open_clip")
SIDES = {
    "ours": Side(ours),
    "transformers": Side(functools.partial(transformers, compiled=False), TORCH),
    "transformers-compiled": Side(functools.partial(transformers, compiled=True), TORCH),
    "open_clip": Side(functools.partial(open_clip, compiled=False), OPEN_CLIP),
    "open_clip-compiled": Side(functools.partial(open_clip, compiled=True), OPEN_CLIP),
}
INSTALL = {
    "torch": "pip install torch, its CPU build",
    "transformers": "pip install transformers",
    "open_clip": "pip install open_clip_torch",
}


# --- Measuring encoders -----------------------------------------------------------------------


def rate(count: int, call: Callable[[], Any], seconds: float) -> float:
    """Images or prompts per second, over whole calls of so many seconds or a little more."""
    start, done = time.perf_counter(), 0
    while not done or time.perf_counter() - start < seconds:
        call()
        done += 1
    return done * count / (time.perf_counter() - start)


def serve(connection: Connection, make: Callable, folder: Path, batches: list[int]) -> None:
    """One side in a process of its own: a rate, or what went wrong, for every task sent."""
    prepare_process()
    try:
        calls = make(folder, batches)
    except Exception as error:  # of four libraries
        connection.send(reason(error))
        return
    connection.send(list(calls))
    for name, seconds in iter(connection.recv, None):
        try:
            connection.send(rate(*calls[name], seconds))
        except Exception as error:  # of the compiler, mostly
            connection.send(reason(error))


def prepare_process() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # it is CPUs that are compared
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


def reason(error: Exception) -> str:
    first = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


@dataclass
class Worker:
    """The near end of a side's process, the tasks it still does, and why it left out others."""

    name: str
    make: Callable
    folder: Path
    batches: list[int]
    rates: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, self.make, self.folder, self.batches)
        self.process = context.Process(target=serve, args=arguments)
        self.process.start()
        theirs.close()  # so that a side that dies ends the wait for it
        tasks = self.receive()
        if isinstance(tasks, str):
            self.leave_out("everything", tasks)
        else:
            self.rates = {name: [] for name in tasks}

    def measure(self, name: str, seconds: float) -> None:
        """One more rate of a task, unless it is one that this side does not do."""
        if name not in self.rates:
            return
        try:
            self.connection.send((name, seconds))
        except OSError:
            self.leave_out(name, "its process is gone")
            return
        found = self.receive()
        if isinstance(found, str):
            self.leave_out(name, found)
        else:
            self.rates[name].append(found)

    def receive(self) -> Any:
        try:
            return self.connection.recv()
        except EOFError:
            return "its process died"

    def leave_out(self, name: str, why: str) -> None:
        self.notes.append(f"{self.name} leaves out {name}: {why}")
        self.rates.pop(name, None)

    def stop(self) -> None:
        if self.process.is_alive():
            self.connection.send(None)
        self.process.join()


def measure(
    sides: Iterable[str], folder: Path, batches: list[int], *, rounds: int, seconds: float
) -> tuple[dict[str, dict], list[str]]:
    """Rounds of all tasks, in each of which all sides have their turn; and notes."""
    workers = [Worker(name, SIDES[name].make, folder, batches) for name in sides]
    tasks = [*map(task, batches), PADDED, CUT]
    for worker in workers:  # one call each compiles
        for name in tasks:
            worker.measure(name, 0)
        worker.rates = {name: [] for name in worker.rates}
    for _ in range(rounds):
        for name in tasks:
            for worker in workers:
                worker.measure(name, seconds)
    for worker in workers:
        worker.stop()
    notes = [note for worker in workers for note in worker.notes]
    return {name: summarize(name, workers) for name in tasks}, notes


def summarize(name: str, workers: list[Worker]) -> dict[str, dict]:
    """One task's medians, and how many times as fast ours is."""
    measured = {worker.name: worker.rates[name] for worker in workers if worker.rates.get(name)}
    medians = {side: statistics.median(rates) for side, rates in measured.items()}
    return {
        side: {
            "per_second": median,
            "ours_to_this": medians["ours"] / median if "ours" in medians else None,
            "every_round": [round(rate, 2) for rate in measured[side]],
        }
        for side, median in medians.items()
    }


# --- Measuring `load` -------------------------------------------------------------------------


def loader_of_ours(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """What loads, and what then reads every weight."""
    import keras

    import dual_encoder

    return functools.partial(dual_encoder.load, folder), lambda model: [
        float(keras.ops.max(weight)) for weight in model.weights
    ]


def loader_of_transformers(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    from transformers import CLIPModel

    quiet_transformers()
    return functools.partial(CLIPModel.from_pretrained, folder), lambda model: [
        float(weight.detach().max()) for weight in model.parameters()
    ]


LOADERS = {"ours": loader_of_ours, "transformers": loader_of_transformers}


def memory() -> dict[str, int]:
    """Bytes of this process, as Linux counts them; nothing elsewhere."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return {}
    lines = (line.split() for line in status.read_text().splitlines())
    return {words[0][:-1]: int(words[1]) << 10 for words in lines if words[-1] == "kB"}


def load_once(connection: Connection, loader: Callable, folder: Path) -> None:
    """Seconds of one `load`, and by how much memory grew, in sizes of the file.

    `peak` counts pages of the mapped file while they are there; `kept` is what is left without.
    """
    prepare_process()
    load, read = loader(folder)
    before = memory()
    if before:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what there is
    start = time.perf_counter()
    model = load()
    found = {"seconds": time.perf_counter() - start}
    read(model)
    found["seconds_read"] = time.perf_counter() - start
    after, size = memory(), (folder / "model.safetensors").stat().st_size
    if before:
        found["peak"] = (after["VmHWM"] - before["VmRSS"]) / size
        found["kept"] = (after["RssAnon"] - before["RssAnon"]) / size
    del model
    connection.send(found)


def measure_load(sides: Iterable[str], folder: Path, rounds: int) -> dict[str, dict]:
    """Medians of `load`, each time in a new process, and the seconds of the first time of all."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, list[dict]] = {name: [] for name in sides if name in LOADERS}
    for _ in range(rounds + 1):
        for name, passes in found.items():
            near, far = context.Pipe()
            process = context.Process(target=load_once, args=(far, LOADERS[name], folder))
            process.start()
            far.close()
            passes.append(near.recv())
            process.join()
    return {name: summarize_load(passes) for name, passes in found.items()}


def summarize_load(passes: list[dict]) -> dict:
    """Ours writes its weights down the first time, and maps them from then on."""
    first, *passes = passes
    medians = {key: statistics.median(each[key] for each in passes) for key in first}
    rounded = [{k: round(v, 3) for k, v in p.items()} for p in passes]
    return medians | {"first": first["seconds"], "every_round": rounded}


# --- The report -------------------------------------------------------------------------------


def print_rates(title: str, unit: str, results: dict[str, dict]) -> None:
    """A row for every side; beside each rate how many times as fast ours is."""
    print(f"\n{title}\n{'':22}" + "".join(f"{name:>20}" for name in results))
    names = list(dict.fromkeys(side for result in results.values() for side in result))
    for side in names:
        print(
            f"{side:22}" + "".join(f"{cell(result.get(side)):>20}" for result in results.values())
        )
    print(f"{unit} per second; in brackets ours / this side")


def cell(result: dict | None) -> str:
    if result is None:
        return "-"
    ratio = result["ours_to_this"]
    return f"{result['per_second']:.1f}" + (f" ({ratio:.2f})" if ratio else "")


def print_load(results: dict[str, dict]) -> None:
    columns = {"first": "at first", "seconds": "seconds", "seconds_read": "and read"}
    columns |= {"peak": "peak", "kept": "kept"}
    print(f"\nload\n{'':22}" + "".join(f"{title:>10}" for title in columns.values()))
    for side, result in results.items():
        print(f"{side:22}" + "".join(f"{result.get(key, math.nan):10.2f}" for key in columns))
    if {"ours", "transformers"} <= set(results):
        pairs = [[results[side][key] for side in LOADERS] for key in ("seconds", "seconds_read")]
        ratios = f"{'':10}" + "".join(f"{mine / theirs:10.2f}" for mine, theirs in pairs)
        print(f"{'ours / transformers':22}{ratios}")
    print("memory in sizes of the checkpoint; kept is without the mapped file")


def versions() -> dict[str, str]:
    names = ("tensorflow", "keras", "torch", "transformers", "open_clip_torch")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def available(sides: list[str]) -> list[str]:
    """Those whose libraries are here; says what the others need."""
    missing = {need for side in sides for need in SIDES[side].needs if not is_here(need)}
    for name in sorted(missing):
        print(f"{name} is missing; its sides are left out ({INSTALL[name]})", file=sys.stderr)
    return [side for side in sides if not missing & set(SIDES[side].needs)]


def is_here(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], help="images")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement, at least")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    options = arguments(given)
    sides = available(options.sides)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["DUET_CACHE"] = str(folder / "cache")  # not the user's own
        write_checkpoint(folder)
        size = (folder / "model.safetensors").stat().st_size
        print(f"a checkpoint of {size / 1e6:.0f} MB, {os.cpu_count()} cores")
        loading = measure_load(sides, folder, options.rounds)
        print_load(loading)
        rates, notes = measure(
            sides, folder, options.batches, rounds=options.rounds, seconds=options.seconds
        )
    print_rates("images, by batch", "images", {b: rates[task(b)] for b in options.batches})
    heads = {"padded": rates[PADDED], "cut": rates[CUT]}
    print_rates(f"a head of {CLASSES} classes", "prompts", heads)
    print(*notes, sep="\n")
    if options.json:
        report = {"cores": os.cpu_count(), "checkpoint_bytes": size, "versions": versions()}
        report |= {"rates": rates, "load": loading, "notes": notes}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The rules of the house, read off every import: which module may import which, and which need
TensorFlow."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from duet import keras_private_api

ROOT = Path(__file__).parents[1]
# Each package, and the packages that it may know.
MAY_KNOW = {
    "duet": set(),
    "tfrecords": {"duet"},
    "dual_encoder": {"duet"},
    "classifiers": {"duet", "tfrecords", "dual_encoder"},
    "pipelines": {"duet", "tfrecords", "dual_encoder", "classifiers"},
    "examples": {"tfrecords", "dual_encoder", "classifiers", "pipelines"},  # notebooks run commands
    "benchmarks": {"tfrecords", "dual_encoder", "classifiers", "pipelines"},
}
# The packages of `pipelines` in layers: a package imports from lower layers alone. A command, which
# is a module of `pipelines` itself, stands above them all.
LAYERS = (
    {"runs", "metrics"},
    {"costs"},
    {"reporting", "published"},
    {"training", "evaluation"},
    {"methods"},
    {"finetuning", "fewshot", "deployment", "retrieval", "inspection"},
    {"serving", "prediction"},
    {"comparison"},
)
LARGEST_FOLDER = 25  # modules in one folder: more are several subjects
WITHOUT_TENSORFLOW = ("duet", "dual_encoder", "classifiers")


@dataclass(frozen=True)
class Import:
    """`name` of `module`, imported by the module `by`; `name` is None for `import module`."""

    by: str
    module: str
    name: str | None
    deferred: bool  # inside a function
    for_types: bool  # under TYPE_CHECKING

    @property
    def package(self) -> str:
        return self.module.split(".")[0]


def modules() -> dict[str, Path]:
    """Every module of the house by its dotted name."""
    # The cells of notebooks are what somebody types, commands included.
    files = [
        path
        for package in MAY_KNOW
        for path in (ROOT / package).rglob("*.py")
        if "notebooks" not in path.parts
    ]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files
    }


MODULES = modules()
TREES = {name: ast.parse(path.read_text(), str(path)) for name, path in MODULES.items()}


def imports(by: str, tree: ast.AST, *, deferred=False, for_types=False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types = for_types or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(by, alias.name, None, deferred, for_types)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{by}: imports are written in full"
            for alias in node.names:
                yield Import(by, node.module or "", alias.name, deferred, for_types)
        else:
            yield from imports(by, node, deferred=inside, for_types=types)


IMPORTS = [found for name, tree in TREES.items() for found in imports(name, tree)]


def test_there_is_something_to_look_at():
    assert {"tfrecords", "dual_encoder", "pipelines"} <= set(MODULES)
    assert len(IMPORTS) > 100


def test_nobody_imports_upwards():
    wrong = [
        f"{found.by} imports {found.module}"
        for found in IMPORTS
        for package in [found.by.split(".")[0]]
        if found.package in {*MAY_KNOW, "tests"} - {package}
        and found.package not in MAY_KNOW[package]
    ]
    assert wrong == []


def module_of(found: Import) -> str:
    """The module that an import loads."""
    whole = f"{found.module}.{found.name}"
    return whole if whole in MODULES else found.module


def test_no_package_of_pipelines_imports_upwards():
    level = {package: number for number, layer in enumerate(LAYERS) for package in layer}
    wrong = []
    for found in IMPORTS:
        by, target = found.by.split("."), module_of(found).split(".")
        if found.for_types or by[0] != "pipelines" or target[0] != "pipelines" or len(by) < 3:
            continue
        if len(target) < 3 or (target[1] != by[1] and level[target[1]] >= level[by[1]]):
            wrong.append(f"{found.by} imports {module_of(found)}")
    assert wrong == []


def test_every_package_of_pipelines_has_a_layer():
    packages = {
        name.split(".")[1] for name in MODULES if re.fullmatch(r"pipelines\.\w+\.\w+", name)
    }
    assert packages == set().union(*LAYERS)


def test_the_layers_are_those_of_the_documentation():
    lines = re.findall(r"^\d\. (.*)$", (ROOT / "docs/design.md").read_text(), re.MULTILINE)
    said = [set(re.findall(r"`(\w+)`", line.partition(":")[0])) for line in lines]
    assert said == [set(layer) for layer in LAYERS]


def test_no_folder_is_a_flat_drawer():
    counts = Counter(path.parent for path in MODULES.values() if path.name != "__init__.py")
    assert {str(folder): n for folder, n in counts.items() if n > LARGEST_FOLDER} == {}


def test_nobody_imports_in_a_circle():
    """Imports inside functions count: a circle that loads late is a circle all the same."""
    knows: dict[str, set[str]] = {name: set() for name in MODULES}
    for found in IMPORTS:
        if not found.for_types:
            knows[found.by] |= {module_of(found)} & set(MODULES) - {found.by}
    while leaves := [name for name, others in knows.items() if not others]:
        for leaf in leaves:
            del knows[leaf]
        for others in knows.values():
            others -= set(leaves)
    assert knows == {}, "modules that import each other"


def test_packages_meet_at_their_front_doors():
    wrong = [
        f"{found.by}: from {found.module} import {found.name}"
        for found in IMPORTS
        if found.package in MAY_KNOW
        and found.package not in (found.by.split(".")[0], "pipelines")
        and MODULES[found.module].name != "__init__.py"
    ]
    assert wrong == [], "take these from the package's __init__"


def test_private_names_stay_at_home():
    wrong = [
        f"{found.by}: from {found.module} import {found.name}"
        for found in IMPORTS
        if (found.name or "").startswith("_")
        or (".src." in f"{found.module}." and found.by != "duet.keras_private_api")
    ]
    for by, tree in TREES.items():
        known = {
            found.name or found.module
            for found in IMPORTS
            if found.by == by and found.package in MAY_KNOW
        }
        wrong += [
            f"{by}: {ast.unparse(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in known
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
        ]
    assert wrong == []


def test_private_names_of_other_libraries_stand_in_one_module():
    """An underscored attribute is ours where some module of the house defines or assigns it."""
    ours = {name for names in keras_private_api.OVERRIDDEN.values() for name in names}
    ours.add("_exit")  # of `os`, which documents it
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            ours.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Name) and not isinstance(node.ctx, ast.Load):
            ours.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    wrong = [
        f"{by}: {ast.unparse(node)}"
        for by, tree in TREES.items()
        if by.split(".")[0] != "benchmarks" and by != "duet.keras_private_api"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and node.attr not in ours
    ]
    assert wrong == []


def known_names(tree: ast.AST) -> set[str]:
    """Whatever a module defines, imports or says the attribute of."""
    found = set()
    for node in ast.walk(tree):
        for field in ("name", "id", "attr", "arg", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                found.add(name.split(".")[-1])
    return found


def test_prose_names_modules_that_exist():
    """Of `module.function`, in backticks, where some module of the house has that function."""
    names = {module: known_names(tree) for module, tree in TREES.items()}
    functions = {
        node.name
        for tree in TREES.values()
        for node in ast.iter_child_nodes(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    elsewhere = {"torch.save", "clip.load", "visual.trunk", "accuracy.png"}
    wrong = []
    for module, path in MODULES.items():
        for said, of, name in re.findall(r"`(([a-z]\w*)\.(\w+))[`(]", path.read_text()):
            there = [each for each in MODULES if each.split(".")[-1] == of]
            held = any(name in names[each] or f"{each}.{name}" in MODULES for each in there)
            if name in functions and of not in names[module] - functions and not held:
                wrong += [f"{module}: {said}"] if said not in elsewhere else []
    assert wrong == []


def test_models_import_without_tensorflow():
    wrong = [
        f"{found.by} imports {found.module}"
        for found in IMPORTS
        if found.by.split(".")[0] in WITHOUT_TENSORFLOW
        and found.package.startswith("tensorflow")
        and not (found.deferred or found.for_types)
    ]
    assert wrong == []


def test_what_a_finished_run_says_needs_no_keras():
    """`finetune` and `train` of one read no model, and TensorFlow greets on standard error."""
    reached, left = set(), ["pipelines.finetuning.output_files", "pipelines.training.output_files"]
    while left:
        by = left.pop()
        reached.add(by)
        found = [i for i in IMPORTS if i.by == by and not (i.deferred or i.for_types)]
        assert not {"keras", "tensorflow"} & {each.package for each in found}, by
        left += {module_of(each) for each in found} & set(MODULES) - reached


PROGRAM = """
import sys
for name in ("tensorflow", "tensorflow_text", "tensorflow_datasets"):
    sys.modules[name] = None  # whoever imports it gets an ImportError
calls = []
sys.addaudithook(lambda event, args: event.startswith("socket.") and calls.append((event, args)))
import importlib.util
import keras, numpy as np
import dual_encoder
def run(function):  # as one program where that is quicker than its hundreds of operations
    if keras.backend.backend() != "jax":
        return function()
    import jax
    return jax.jit(function)()
tokenizer = dual_encoder.Tokenizer.learn(["a red star", "a blue ring"], context_length=8)
own = {"width": 16, "depth": 1, "heads": 2}
for image, text in (
    (dual_encoder.image_tower("vit-tiny", image_size=16, **own),
     dual_encoder.text_tower("transformer-tiny", tokenizer, **own)),
    (dual_encoder.image_tower("vit-base-16", image_size=16, patch_size=8, **own),
     dual_encoder.text_tower("bert-tiny", tokenizer, **own)),
):
    model = dual_encoder.DualEncoder(image, text, embed_dim=4, tokenizer=tokenizer)
    model.build()
    images = np.zeros((2, 16, 16, 3), "uint8")
    batch = {"image": images, "token_ids": tokenizer(["a red star", "a blue ring"])}
    loss = run(lambda: model.compute_loss(batch, np.arange(2), model(batch)))
    assert 0 < keras.ops.convert_to_numpy(loss) < 100
    if isinstance(model.text_tower, dual_encoder.TextTransformer):  # the rest is the same for both
        classifier = dual_encoder.ZeroShotClassifier.from_names(model, ["star", "ring"], ["a {}"])
        assert run(lambda: classifier(images)).shape == (2, 2)
        for learn in (dual_encoder.CoOp, dual_encoder.CoCoOp):
            prompts = learn(model, ["star", "ring"], words=None, n_ctx=2, seed=0)
            assert prompts.logits(np.ones((3, 4), "float32")).shape == (3, 2)
        # With labels and metrics, which `fit` and `evaluate` look at before the first step.
        classifier.compile(metrics=["accuracy"])
        assert np.isfinite(classifier.evaluate(images, np.arange(2), verbose=0)).all()
        prompts = dual_encoder.CoOp(model, ["star", "ring"], n_ctx=2, seed=0)
        prompts.compile("sgd", metrics=["accuracy"])
        fitted = prompts.fit(np.ones((2, 4), "float32"), np.arange(2), verbose=0)
        assert sorted(fitted.history) == ["accuracy", "loss"]
assert not [call for call in calls if call[0] in ("socket.connect", "socket.getaddrinfo")], calls
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_models_run_without_tensorflow(backend):
    """Where another backend is installed."""
    if importlib.util.find_spec(backend) is None:  # importing JAX here would set the log level
        pytest.skip(f"{backend} is not installed")
    hasty = "--xla_backend_optimization_level=0"  # JAX compiles hundreds of operations to run once
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": hasty}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]

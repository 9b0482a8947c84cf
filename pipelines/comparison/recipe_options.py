"""Methods of a comparison that take their options from a `finetune` recipe."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipelines.comparison.options import Options
from pipelines.finetuning import options as finetuning_options
from pipelines.methods.registry import METHODS
from pipelines.runs import option_parsing

# What a comparison says to all of its methods alike.
SHARED = {"data", "out", "held_out", "held_out_classes", "held_out_seed", "validation"}

SHARED |= {"split_seed", "seed", "test", "bootstrap"}

Recipes = Mapping[str, Mapping[str, Any]]  # options by method


def read(options: Options) -> Recipes:
    """By method, the options of `--recipes METHOD=RECIPE` that are its own.

    Raises:
        ValueError: no such method or recipe, a method that does not fine-tune, a recipe of another
            method, or an option that `finetune` has not.
    """
    found = {}
    tuned = [name for name, each in METHODS.items() if each.command == "finetune"]
    known = {field.name for field in dataclasses.fields(finetuning_options.Options)}
    for text in options.recipes or ():
        method, _, name = text.partition("=")
        if method not in tuned or not name:
            raise ValueError(
                f"--recipes: expected METHOD=RECIPE with one of {', '.join(tuned)}; got {text!r}"
            )
        path = option_parsing.recipe_path(name, option="recipes")
        given = option_parsing.read_config(path)
        if strange := sorted(set(given) - known):
            raise ValueError(
                f"--recipes: expected a recipe of finetune; {name} has an option {strange[0]!r}"
            )
        row = METHODS[method]
        own = dict(row.options).get("method", method)
        if "finetune" in row.by and given.get("method", own) != own:
            raise ValueError(
                f"--recipes: row {method} is that method; {name} has method {given['method']!r}, "
                "which is a row of its own"
            )
        kept = set() if row.network else {"model"}
        own_options = {key: given[key] for key in given if key not in SHARED | kept}
        found[method] = {"method": own, **own_options}
    return found

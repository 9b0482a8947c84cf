"""Prompts of class names: templates for all classes, and sentences of one class."""

import re
from collections.abc import Sequence
from typing import Any

UNORDERED = (str, bytes, set, frozenset, dict)  # not lists, though they have a length

_PLACEHOLDERS = ("category", "class", "class_name", "classname", "cls", "label", "name", "{")

_BRACES = re.compile("[{}]")


def prompts_of(class_names: Sequence[str], templates: Sequence[str]) -> list[list[str]]:
    """Return the prompts of every class: one per template, `{}` replaced by the name.

    A template that begins with a class name in braces, as in `"{baklava} layers of thin pastry"`,
    is a prompt of that class alone, without the braces; those of other names are passed over.

    Raises:
        ValueError: texts that `check_texts` refuses.
    """
    check_texts(class_names, templates)
    every = [text for text in templates if _class_of(text) is None]
    own: dict[str, list[str]] = {}
    for text in templates:
        if (name := _class_of(text)) is not None:
            own.setdefault(name, []).append(text[len(name) + 2 :].strip())
    found = []
    for name in class_names:
        texts = [text.replace("{}", name) for text in (*every, *own.get(name, ()))]
        if not texts:
            raise ValueError(f"templates: expected a prompt for every class; {name!r} has none")
        found.append(texts)
    return found


def prompt_of_class(name: str, prompt: str) -> str:
    """Return the template that is a prompt of one class alone; see `prompts_of`."""
    return f"{{{name}}} {prompt}"


def check_texts(class_names: Sequence[str], templates: Sequence[str]) -> None:
    """Raise ValueError for too few names or templates, an empty name, or a template without `{}`
    that is no prompt of one class either, or with other braces."""
    text_list("class_names", class_names, least=2)
    text_list("templates", templates, least=1)
    empty = [i for i, name in enumerate(class_names) if not name.strip()]
    if empty:
        raise ValueError(f"class_names: expected no empty name; number {empty[0]} is empty")
    for template in templates:
        own = _class_of(template)
        if own is None and "{}" not in template:
            raise ValueError(f"templates: expected {{}} where the name goes; got {template!r}")
        # Literal braces are another program's, for the name or for what it is to be filled with.
        meant = own in _PLACEHOLDERS and own not in class_names
        if meant or (own is None and _BRACES.search(template.replace("{}", ""))):
            raise ValueError(
                f"templates: expected no braces but {{}} for the name; got {template!r}"
            )


def text_list(what: str, texts: Any, *, least: int, instead: str = "") -> list[str]:
    """Return a list, tuple or array of texts as a list, in its order, which a set has not.

    Raise ValueError for anything else, or fewer than `least`; `instead` begins what is expected.
    """
    is_listed = hasattr(texts, "__len__") and not isinstance(texts, UNORDERED)
    if not is_listed or len(texts) < least or getattr(texts, "ndim", 1) != 1:
        expected = f"{instead}a list of {least} or more texts"
        raise ValueError(f"{what}: expected {expected}; got {_shortened(texts)}")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"{what}: expected {instead}texts; got {_shortened(text)} among them")
    return [str(text) for text in texts]


def _shortened(value: Any) -> str:
    return text if len(text := repr(value)) <= 80 else f"{text[:77]}..."


def _class_of(template: str) -> str | None:
    """The class that a template is for; None where it is for all."""
    end = template.find("}")
    return template[1:end] if template.startswith("{") and end > 1 else None

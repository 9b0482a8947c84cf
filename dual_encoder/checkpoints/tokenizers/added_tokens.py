"""Read the tokens that were added to a vocabulary after it was learnt."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken

from dual_encoder.checkpoints.json_schemas import read_json
from duet import json_validation

FILE = "added_tokens.json"

DECODER = "added_tokens_decoder"  # of tokenizer_config.json, which counts before the file

LISTS = ("additional_special_tokens", "extra_special_tokens")

FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")


def add_tokens(
    tokenizer: tokenizers.Tokenizer, folder: Path, settings: Mapping[str, Any], *, whole: bool
) -> None:
    """Give a tokenizer the tokens that the files beside its vocabulary add to it.

    Args:
        tokenizer: of the vocabulary; changed.
        folder: may hold added_tokens.json, token -> id.
        settings: those of tokenizer_config.json and special_tokens_map.json.
        whole: whether the vocabulary has its own list, as tokenizer.json; then only tokens that are
            new to it are added.

    Raises:
        ValueError: an id that the vocabulary does not give the token, for the weights have a row
            for each id.
    """
    inside = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for where, index, token in _found(folder, settings):
        known = tokenizer.token_to_id(token.content) is not None
        if token.content in inside or (known and whole):
            continue
        add = tokenizer.add_special_tokens if token.special else tokenizer.add_tokens
        add([token])
        given = tokenizer.token_to_id(token.content)
        if given != index:
            raise ValueError(
                f"{where}: expected id {given} for {json_validation.shown(token.content)}, "
                f"{'as in the vocabulary' if known else 'the next one'}; got {index}"
            )


def _found(folder: Path, settings: Mapping[str, Any]) -> Iterator[tuple[str, int, AddedToken]]:
    """The file, id and token of each, by id."""
    if DECODER in settings:
        described = settings[DECODER]
        if wrong := [key for key in described if not (key.isascii() and key.isdigit())]:
            raise ValueError(f"{DECODER}: expected ids; got {json_validation.shown(wrong[0])}")
        for key in sorted(described, key=int):
            flags = {name: described[key][name] for name in FLAGS if name in described[key]}
            yield DECODER, int(key), AddedToken(described[key]["content"], **flags)
    elif (folder / FILE).is_file():
        ids = read_json(folder, FILE, {"*": json_validation.COUNT})
        names = {value for key, value in settings.items() if key.endswith("_token")}
        for name in LISTS:
            listed = settings.get(name, ())
            listed = listed.values() if isinstance(listed, dict) else listed
            names |= {each["content"] if isinstance(each, dict) else each for each in listed}
        for content, index in sorted(ids.items(), key=lambda item: item[1]):
            special = content in names
            yield FILE, index, AddedToken(content, special=special, normalized=not special)

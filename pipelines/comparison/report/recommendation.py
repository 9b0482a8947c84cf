"""Recommend a method, by a documented rule."""

import math
from typing import Any

#: A method is as good as another unless the images say that it is not; of equals a cheap one is
#: recommended. A larger loss on held-out classes is reported beside the gain.
NOTABLE_LOSS = 0.01

#: What the figures of a row are shares of, by the metric: of the answer, and of "the best, X, ...".
SAID = {
    "top1": {
        "figure": "% on your classes",
        "best": "is right for",
        "guessing": "always saying one class is right for",
    },
    "mean_per_class": {
        "figure": "% mean per-class accuracy on your classes",
        "best": "has a mean per-class accuracy of",
        "guessing": "always saying one class has",
    },
    "map": {
        "figure": "% mean average precision on your classes",
        "best": "has a mean average precision of",
        "guessing": "an order by chance has",
    },
}

#: Of methods that train at most so many times as long as the cheapest, or so many seconds longer,
#: none is cheaper than another.
AS_CHEAP, SECONDS = 2.0, 10.0

#: What a row says of classes never seen, and in words: a method keeps them where it keeps both.
OF_NEW = {"unseen": "new ones", "unseen_among_all": "new ones among all classes"}

TENS = 10  # rounding of how many more images would be needed


def recommend(
    rows: list[dict[str, Any]],
    pairs: list[dict[str, Any]],
    *,
    chance: float = 0.0,
    tested: int = 0,
    folds: bool = False,
    judged_by: str = "top1",
) -> dict[str, Any]:
    """The method to use, what it is compared with, and the answer in words.

    Of the methods that are surely better than guessing and that the best of these does not beat
    significantly on the classes trained on, the most accurate of the cheapest to train; where
    classes are held out, among those of them that lose at most `NOTABLE_LOSS` on these against
    zero-shot, both among themselves and among all classes, if there is one. Of several that are
    equally accurate, the one that is right for most images of all classes. None where none is
    surely better than guessing; the answer then says how many test images it would take.

    Args:
        rows: of the table, those that failed left out; `method`, `seen`, `unseen`,
            `unseen_among_all`, `generalized`, `seconds`, `intervals`.
        pairs: of `significance.pairs`.
        chance: what guessing reaches: always predicting the most frequent trained class, or an
            order of the images by chance.
        tested: test images of the classes trained on.
        folds: whether every image is tested already.
        judged_by: what `seen` is, one of `SAID`.

    Returns:
        `method`, `runner_up` or None, `answer`, and `keeps`: whether it keeps what was known.
    """
    nothing = {"method": None, "runner_up": None, "keeps": None}
    if not rows:
        return {**nothing, "answer": "No method finished."}
    sure = [row for row in rows if _surely(row, tested) > chance]
    if not sure:
        first = max(rows, key=lambda row: row["seen"])
        answer = _undecided(first, SAID[judged_by], chance=chance, tested=tested, folds=folds)
        return {**nothing, "answer": answer}
    best = max(sure, key=lambda row: row["seen"])["method"]
    beaten = {
        pair["a"] if pair["better"] == pair["b"] else pair["b"]
        for pair in pairs
        if pair["better"] == best
    }
    equal = [row for row in sure if row["method"] not in beaten]
    known = next((row for row in rows if row["method"] == "zero-shot"), {})
    keeping = [row for row in equal if (lost := _lost(row, known)) and lost[1] <= NOTABLE_LOSS]
    chosen = max(_cheapest(keeping or equal), key=_merit)
    others = [row for row in rows if row is not chosen]
    runner_up = max(others, key=lambda row: row["seen"], default=None)
    return {
        "method": chosen["method"],
        "runner_up": runner_up and runner_up["method"],
        "keeps": bool(keeping) if _lost(known, known) else None,
        "answer": _words(chosen, runner_up, SAID[judged_by]["figure"], pairs, known=known),
    }


def _merit(row: dict[str, Any]) -> tuple[float, float, float]:
    """Orders methods that cost alike; seconds come last, for they are never twice the same."""
    return row["seen"], row.get("generalized") or 0.0, -row["seconds"]


def _cheapest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    least = min(row["seconds"] for row in rows)
    return [row for row in rows if row["seconds"] <= max(AS_CHEAP * least, least + SECONDS)]


def _lost(row: dict[str, Any], known: dict[str, Any]) -> tuple[str, float] | None:
    """Of the figures of `OF_NEW`, the one that loses most against zero-shot, and how much.

    None where no class is held out, or the method cannot name such classes.
    """
    said = [name for name in OF_NEW if known.get(name) is not None]
    if not said or any(row.get(name) is None for name in said):
        return None
    losses = ((name, round(known[name] - row[name], 9)) for name in said)  # 0.80 - 0.79 is 0.01
    return max(losses, key=lambda lost: lost[1])


def _surely(row: dict[str, Any], tested: int) -> float:
    """The lower end of what is known of its accuracy on classes trained on.

    A bootstrap of images that are all right knows of no other: then it is 1 - 3 / n (Hanley and
    Lippman-Hand 1983, "If Nothing Goes Wrong, Is Everything All Right?").
    """
    ends = row.get("intervals", {}).get("seen")
    low = ends[0] if ends else row["seen"]
    return max(min(low, 1 - 3 / tested), 0.0) if tested and row["seen"] >= 1 else low


def more_needed(row: dict[str, Any], *, chance: float, tested: int) -> int | None:
    """How many more test images would tell a row from guessing, if it is as good as it looks.

    An interval is as wide as 1 / sqrt(n): of n images its lower end is `seen - low` below the
    accuracy, and it is to be `seen - chance` at most, so that n has to grow by the square of
    their ratio. Rounded up to tens. None where the row is no better than guessing.
    """
    ends = row.get("intervals", {}).get("seen")
    if not ends or not tested or row["seen"] <= chance:
        return None
    needed = tested * ((row["seen"] - _surely(row, tested)) / (row["seen"] - chance)) ** 2
    return max(TENS, math.ceil(round((needed - tested) / TENS, 6)) * TENS)


def _undecided(
    row: dict[str, Any], words: dict[str, str], *, chance: float, tested: int, folds: bool
) -> str:
    """The answer where the best row may be guessing."""
    ends = row.get("intervals", {}).get("seen")
    low = 100 * _surely(row, tested)
    between = f", interval {low:.0f}-{100 * ends[1]:.0f}" if ends else ""
    right = f"{100 * row['seen']:.0f} %{between}"
    guessing = f"{words['guessing']} {100 * chance:.0f} %"
    more = more_needed(row, chance=chance, tested=tested)
    if more is None:
        best = f"the best, {row['method']}, {words['best']} {right}"
        return (
            f"Nothing to choose yet: {best}; {guessing}. "
            "Look at the images and their labels, or try other class names or another model."
        )
    share = ", or give more of those you have to the test (prepare --test-share)"
    return (
        f"Too few test images to choose: {tested:,}; {row['method']} is ahead at {right}; "
        f"{guessing}. Label {more:,} more to test on{'' if folds else share}."
    )


def _words(
    chosen: dict[str, Any],
    runner_up: dict[str, Any] | None,
    figure: str,
    pairs: list[dict[str, Any]],
    *,
    known: dict[str, Any],
) -> str:
    parts = [f"{100 * chosen['seen']:.1f} {figure}"]
    if runner_up is not None:
        parts.append(_against(chosen, runner_up, pairs))
    if lost := _lost(chosen, known):
        if chosen is not known:
            parts.append(_of_new(OF_NEW[lost[0]], 100 * lost[1]))
    elif _lost(known, known):
        parts.append("cannot name new ones")
    parts.append(f"takes {duration(chosen['seconds'])}")
    return f"Use {chosen['method']}: " + ", ".join(parts) + "."


def _of_new(classes: str, points: float) -> str:
    if abs(points) <= 0.05:
        return f"loses nothing on {classes}"
    verb = "loses" if points > 0 else "gains"
    return f"{verb} {abs(points):.1f} points on {classes} against zero-shot"


def _against(chosen: dict[str, Any], other: dict[str, Any], pairs: list[dict[str, Any]]) -> str:
    gain = 100 * (chosen["seen"] - other["seen"])
    pair = next(p for p in pairs if {p["a"], p["b"]} == {chosen["method"], other["method"]})
    if pair["better"] is None:
        return f"not surely different from {other['method']} ({100 * other['seen']:.1f} %)"
    side = "better" if gain > 0 else "worse"
    return f"{abs(gain):.1f} points {side} than {other['method']}"


def duration(seconds: float) -> str:
    """90 as "1.5 min"."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"

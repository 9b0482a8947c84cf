"""What a comparison says of its images before any figure: few, unbalanced, held out."""

from collections.abc import Mapping, Sequence

from duet import name_list
from pipelines.comparison import folds
from pipelines.comparison.folds import Fold
from pipelines.comparison.options import Options, judge
from pipelines.inspection import class_balance_and_lookalikes
from pipelines.inspection.class_balance_and_lookalikes import UNBALANCED
from pipelines.methods.registry import METHODS, STOCK
from pipelines.training import small_set_batch_size
from tfrecords import Manifest

FEW_TO_CHOOSE_BY = 30  # images: one of them is 3 points of the accuracy that is chosen by

RARE = 10  # test images of a class, below which its average precision is named as luck

FEW = 200  # test images, by which accuracies are known to 7 points: 1.96 sqrt(0.25 / n)


def remarks(
    options: Options,
    manifest: Manifest,
    held_out: tuple[int, ...],
    *,
    images: int,
    choosing: int,
    divisions: Sequence[Fold],
) -> tuple[str, ...]:
    """What a person should know of the images before the figures, a line each.

    images: how many are trained on; choosing: how many are chosen by; divisions: the folds, one
    where the records' own is all.
    """
    found = []
    size, _ = small_set_batch_size.fitting(
        options.batch_size, options.micro_batch, images=max(images, 1)
    )
    if images and size < options.batch_size:
        found.append(small_set_batch_size.said(size, options.batch_size))
    found += _of_the_classes(options, manifest, held_out, choosing=choosing)
    if options.views > 1:
        without = [name for name in options.methods if not METHODS[name].takes_views]
        found.append(
            f"Rows on cached features learn from {options.views} views of each training image"
            + (f"; {', '.join(without)} take{'s' * (len(without) == 1)} none." if without else ".")
        )
    once = [name for name in options.methods if not METHODS[name].draws and name != STOCK]
    if len(options.seeds or ()) > 1 and once:
        found.append(f"Run once, for no seed changes them: {', '.join(once)}.")
    if len(divisions) > 1:
        found.append(_of_the_folds(divisions))
    tests = folds.tested(divisions)
    if without := [manifest.spoken_names[label] for label, count in enumerate(tests) if not count]:
        names = name_list.first_of(without)
        found.append(f"Without a test image: {names}; no figure says anything of these.")
    if manifest.multi_label:
        return (*found, *_of_rare_labels(manifest, tests))
    tested = sum(count for label, count in enumerate(tests) if label not in held_out)
    if 0 < tested < FEW:
        found.append(
            f"{tested} test images of the classes trained on: an accuracy is known to about "
            f"{98 / tested**0.5:.0f} points either way, whatever the intervals say."
        )
    return tuple(found)


def _of_rare_labels(manifest: Manifest, tests: Sequence[int]) -> list[str]:
    """What the mean over classes hides, of images with several classes each."""
    rare = [manifest.spoken_names[label] for label, count in enumerate(tests) if 0 < count < RARE]
    if not rare:
        return []
    return [
        f"Fewer than {RARE} test images of {name_list.first_of(rare)}: their average precision is "
        "partly luck, and counts in the mean as much as that of any other class."
    ]


def _of_the_folds(divisions: Sequence[Fold]) -> str:
    of_records, whole = (sum(fold.tested for fold in some) for some in (divisions[:1], divisions))
    return (
        f"{of_records} test images are few, so that the images are divided {len(divisions)} times "
        f"and every method is trained as often: {whole} images are tested once each (--folds 1 "
        "for the division of the records alone; --budget 10m for what fits into ten minutes)."
    )


def _of_the_classes(
    options: Options, manifest: Manifest, held_out: tuple[int, ...], *, choosing: int
) -> list[str]:
    """What follows from how many images the classes have, and how many classes are held out."""
    counts = manifest.split("train").class_counts
    seen = {label: count for label, count in enumerate(counts) if label not in held_out}
    found = []
    if held_out:
        names = name_list.first_of([manifest.spoken_names[label] for label in held_out])
        found.append(f"Held out, which no method is trained on: {names}.")
    if len(held_out) == 1:
        found[-1] += (
            " Among one class every answer is right, so that there is no figure for held-out "
            "classes among themselves; the one among all says what is lost."
        )
    if 0 < choosing < FEW_TO_CHOOSE_BY:
        found.append(
            f"{choosing} images to choose by: what a method chooses by them (a strength, how far "
            "to go back) is partly luck; --validation takes a larger share."
        )
    said = unbalanced(
        seen,
        manifest,
        weighted=bool(options.class_weight),
        by_class=judge(options, manifest) != "top1",
    )
    if said and not manifest.multi_label:  # whose figure is a mean over classes anyway
        found.append(said)
    return found


def unbalanced(
    counts: Mapping[int, int], manifest: Manifest, *, weighted: bool, by_class: bool = False
) -> str:
    """A remark where the classes' numbers of training images differ by more than 5 : 1.

    weighted: whether methods count every class alike; by_class: whether the recommendation does.
    """
    names = [manifest.spoken_names[label] for label in counts]
    found = class_balance_and_lookalikes.unbalanced([*counts.values()], names)
    if not found or found["ratio"] <= UNBALANCED:
        return ""
    common, rare = found["largest"], found["smallest"]
    advice = {
        "--judge-by mean_per_class recommends by a figure that counts every class alike": by_class,
        "--class-weight 1 trains so": weighted,
    }
    left = ", ".join(each for each, done in advice.items() if not done)
    return (
        f"Classes differ by more than {UNBALANCED:g} : 1 ({common['name']} has "
        f"{common['images']:,} training images, {rare['name']} {rare['images']:,})"
        f"{': ' if left else ''}{left}."
    )

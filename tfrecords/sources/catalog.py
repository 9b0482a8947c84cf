"""The catalogue of data sets: origin, splits, class names, prompt templates and metric."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from tfrecords.published_names_and_templates import NAMES, RENAMES, TEMPLATES
from tfrecords.sources.shapes import multi_label as shapes_multi_label
from tfrecords.sources.shapes import source

METRICS = ("top1", "mean_per_class", "macro_f1", "map", "recall")


@dataclass(frozen=True)
class Dataset:
    """One entry of the catalogue.

    Attributes:
        name: value of `--dataset`.
        home: description and origin.
        images: number of images in the splits used here.
        classes: number of classes, 0 for captions only.
        tfds: its name in TensorFlow Datasets, or "".
        layout: the published folder layout that can be read instead, or "".
        layouts: descriptions of other readable layouts: CoOp's, class folders, binary files.
        archives: files to download and unpack into one folder for that layout.
        splits: published split name -> Duet's, in order. Other splits are left out.
        class_names: names in label order if the source has none; () = read from the source.
        renames: class name of the source -> class name for prompts.
        templates: prompt templates with one `{}` each.
        metric: headline metric, one of `METRICS`.
        lossless: store images losslessly, as JPEG would cost accuracy.
        note: caveats for comparing results.
        multi_label: an image has any number of classes, not just one.
    """

    name: str
    home: str
    images: int
    classes: int
    tfds: str = ""
    layout: str = ""
    layouts: tuple[str, ...] = ()
    archives: str = ""
    splits: dict[str, str] = field(default_factory=lambda: {"train": "train", "test": "test"})
    class_names: tuple[str, ...] = ()
    renames: dict[str, str] = field(default_factory=dict)
    templates: tuple[str, ...] = ()
    metric: str = "top1"
    lossless: bool = False
    note: str = ""
    multi_label: bool = False


_WILDS_SPLITS = {
    "train": "train",
    "val": "validation",
    "test": "test",
    "id_val": "id_validation",
    "id_test": "id_test",
}

_ENTRIES = (
    Dataset(
        name="shapes",
        home="the built-in miniature world, drawn from a seed: captions to pretrain on",
        images=sum(source.COUNTS.values()),
        classes=len(source.CLASS_NAMES),
        splits={split: split for split in source.SPLITS},
        class_names=source.CLASS_NAMES,
        templates=source.TEMPLATES,
    ),
    Dataset(
        name="shapes-wild",
        home="the same classes in another style, 5 % wrong labels in train: a task to adapt to",
        images=sum(source.COUNTS.values()),
        classes=len(source.CLASS_NAMES),
        splits={split: split for split in source.SPLITS},
        class_names=source.CLASS_NAMES,
        templates=source.TEMPLATES,
    ),
    Dataset(
        name="shapes-multi",
        home="several shapes per image, labelled with every shape and colour that is there",
        images=sum(shapes_multi_label.COUNTS.values()),
        classes=len(shapes_multi_label.CLASS_NAMES),
        splits={split: split for split in source.SPLITS},
        class_names=shapes_multi_label.CLASS_NAMES,
        templates=shapes_multi_label.TEMPLATES,
        metric="map",
        multi_label=True,
    ),
    Dataset(
        name="food101",
        home="Food-101: dishes (Bossard et al. 2014), data.vision.ee.ethz.ch/cvl",
        images=101_000,
        classes=101,
        tfds="food101",
        layout="food101",
        archives="food-101.tar.gz",
        splits={"train": "train", "validation": "test"},
        layouts=("CoOp's layout",),
        templates=TEMPLATES["food101"],
        note="TFDS calls the official test split validation; some train labels are wrong",
    ),
    Dataset(
        name="cifar10",
        home="CIFAR-10: 32x32 images (Krizhevsky 2009), cs.toronto.edu/~kriz/cifar.html",
        images=60_000,
        classes=10,
        tfds="cifar10",
        class_names=NAMES["cifar10"],
        layouts=("binary version",),
        archives="cifar-10-binary.tar.gz",
        templates=TEMPLATES["cifar10"],
        lossless=True,
        note="copies of it as JPEG cost 2 to 3 points",
    ),
    Dataset(
        name="cifar100",
        home="CIFAR-100: 32x32 images (Krizhevsky 2009), cs.toronto.edu/~kriz/cifar.html",
        images=60_000,
        classes=100,
        tfds="cifar100",
        class_names=NAMES["cifar100"],
        layouts=("binary version",),
        archives="cifar-100-binary.tar.gz",
        templates=TEMPLATES["cifar100"],
        lossless=True,
        note="copies of it as JPEG cost CLIP up to 20 points",
    ),
    Dataset(
        name="caltech101",
        home="Caltech-101: objects (Fei-Fei et al. 2004), doi.org/10.22002/D1.20086",
        images=9_144,
        classes=102,
        tfds="caltech101",
        renames=RENAMES["caltech101"],
        layouts=(
            "CoOp's layout",
            "class folders",
        ),
        archives="101_ObjectCategories.tar.gz",
        templates=TEMPLATES["caltech101"],
        metric="mean_per_class",
        note="TFDS has background and both face classes and a dead address; class folders are "
        "read without background, split by seed; CoOp's 100 classes give other figures",
    ),
    Dataset(
        name="dtd",
        home="Describable Textures (Cimpoi et al. 2014), split 1, robots.ox.ac.uk/~vgg/data/dtd",
        images=5_640,
        classes=47,
        tfds="dtd",
        splits={"train": "train", "validation": "validation", "test": "test"},
        layouts=(
            "CoOp's layout",
            "published folders",
        ),
        archives="dtd-r1.0.1.tar.gz",
        templates=TEMPLATES["dtd"],
    ),
    Dataset(
        name="oxford_flowers102",
        home="Oxford Flowers (Nilsback and Zisserman 2008), robots.ox.ac.uk/~vgg/data/flowers/102",
        images=8_189,
        classes=102,
        tfds="oxford_flowers102",
        splits={"train": "train", "validation": "validation", "test": "test"},
        renames=RENAMES["oxford_flowers102"],
        layouts=(
            "CoOp's layout",
            "published folders",
        ),
        archives="102flowers.tgz, imagelabels.mat and setid.mat",
        templates=TEMPLATES["oxford_flowers102"],
        metric="mean_per_class",
    ),
    Dataset(
        name="oxford_iiit_pet",
        home="Oxford-IIIT Pets (Parkhi et al. 2012), robots.ox.ac.uk/~vgg/data/pets",
        images=7_349,
        classes=37,
        tfds="oxford_iiit_pet",
        layouts=(
            "CoOp's layout",
            "published folders",
        ),
        archives="images.tar.gz and annotations.tar.gz",
        templates=TEMPLATES["oxford_iiit_pet"],
        metric="mean_per_class",
    ),
    Dataset(
        name="stl10",
        home="STL-10: 96x96 images (Coates et al. 2011), ai.stanford.edu/~acoates/stl10",
        images=13_000,
        classes=10,
        tfds="stl10",
        class_names=NAMES["stl10"],
        layouts=("binary version",),
        archives="stl10_binary.tar.gz",
        templates=TEMPLATES["stl10"],
        lossless=True,
        note="its 100,000 unlabelled images are left out",
    ),
    Dataset(
        name="coco_captions",
        home="MS COCO captions (Chen et al. 2015), five per image, cocodataset.org",
        images=123_287,
        classes=0,
        tfds="coco_captions/2014",
        layout="coco",
        archives="train2014.zip, val2014.zip and annotations_trainval2014.zip, and for Karpathy's "
        "splits dataset_coco.json of caption_datasets.zip",
        splits={"train": "train", "restval": "restval", "val": "validation", "test": "test"},
        metric="recall",
        note="Karpathy's splits (test has 5,000 images) from TFDS, or where dataset_coco.json is "
        "beside the images; from COCO's own JSON: as published",
    ),
    Dataset(
        name="fgvc_aircraft",
        home="FGVC Aircraft, variants (Maji et al. 2013), robots.ox.ac.uk/~vgg/data/fgvc-aircraft",
        images=10_000,
        classes=100,
        layout="fgvc_aircraft",
        splits={"train": "train", "val": "validation", "test": "test"},
        layouts=("CoOp's layout",),
        templates=TEMPLATES["fgvc_aircraft"],
        metric="mean_per_class",
        note="100 variants; tables that say 102 count otherwise",
    ),
    Dataset(
        name="imagenet",
        home="ImageNet (Russakovsky et al. 2015) as few-shot tables have it, image-net.org",
        images=1_331_167,
        classes=1000,
        layouts=("CoOp's layout",),
        archives="images/{train,val} with CoOp's classnames.txt",
        splits={"train": "train", "val": "test"},
        templates=TEMPLATES["any"],
        note="OpenAI's names have missile and sunglasses twice: --allow-equal-names",
    ),
    Dataset(
        name="stanford_cars",
        home="Stanford Cars (Krause et al. 2013) with CoOp's splits, github.com/KaiyangZhou/CoOp",
        images=16_185,
        classes=196,
        layouts=("CoOp's layout",),
        archives="cars_train, cars_test and split_zhou_StanfordCars.json",
        splits={"train": "train", "val": "validation", "test": "test"},
        templates=TEMPLATES["any"],
    ),
    Dataset(
        name="sun397",
        home="SUN397 scenes (Xiao et al. 2010) with CoOp's splits, github.com/KaiyangZhou/CoOp",
        images=39_700,
        classes=397,
        layouts=("CoOp's layout",),
        archives="SUN397 and split_zhou_SUN397.json",
        splits={"train": "train", "val": "validation", "test": "test"},
        templates=TEMPLATES["any"],
    ),
    Dataset(
        name="eurosat",
        home="EuroSAT: land use from above (Helber et al. 2019), github.com/phelber/EuroSAT",
        images=27_000,
        classes=10,
        tfds="eurosat/rgb",
        layouts=("CoOp's layout", "class folders"),
        archives="EuroSAT.zip (2750)",
        splits={"train": "train"},
        renames=RENAMES["eurosat"],
        templates=TEMPLATES["eurosat"],
        note="published without splits: TFDS has one, class folders are split here by seed, and "
        "CoOp's are those of few-shot tables",
    ),
    Dataset(
        name="ucf101",
        home="UCF101 actions, middle frames (Soomro et al. 2012) with CoOp's splits, "
        "github.com/KaiyangZhou/CoOp",
        images=13_320,
        classes=101,
        layouts=("CoOp's layout",),
        archives="UCF-101-midframes.zip and split_zhou_UCF101.json",
        splits={"train": "train", "val": "validation", "test": "test"},
        templates=TEMPLATES["ucf101"],
    ),
    Dataset(
        name="fmow",
        home="Functional Map of the World as in WILDS 1.1 (Koh et al. 2021), wilds.stanford.edu",
        images=141_696,
        classes=62,
        layout="fmow",
        splits=_WILDS_SPLITS,
        class_names=NAMES["fmow"],
        templates=TEMPLATES["fmow"],
        note="published figures are often the accuracy of the worst region, not the average",
    ),
    Dataset(
        name="iwildcam",
        home="iWildCam 2020 as in WILDS 2.0 (Beery 2020, Koh et al. 2021), wilds.stanford.edu",
        images=203_029,
        classes=182,
        layout="iwildcam",
        splits=_WILDS_SPLITS,
        class_names=NAMES["iwildcam"],
        templates=TEMPLATES["iwildcam"],
        metric="macro_f1",
    ),
    Dataset(
        name="animals10",
        home="Animals-10 (Alessio 2019), kaggle.com/datasets/alessiocorrado99/animals10",
        images=26_179,
        classes=10,
        layout="animals10",
        archives="the archive with raw-img/",
        splits={"train": "train", "test": "test"},
        class_names=tuple(RENAMES["animals10"].values()),
        renames=RENAMES["animals10"],
        templates=TEMPLATES["animals10"],
        note="published without splits: split here by seed; all of it as one: --all-as test",
    ),
    Dataset(
        name="common10",
        home="common objects, put together by hand (Monti and Mariani): eight classes of Natural "
        "Images (Roy et al. 2018, kaggle.com/datasets/prasunroy/natural-images), food and house",
        images=9_300,
        classes=10,
        layout="class_folders",
        archives="one folder of images for each class",
        splits={"train": "train", "test": "test"},
        class_names=NAMES["common10"],
        templates=TEMPLATES["common10"],
        note="never published as one set: collect the folders; all of it as one: --all-as test",
    ),
)

DATASETS: dict[str, Dataset] = {entry.name: entry for entry in _ENTRIES}


def dataset(name: str) -> Dataset:
    """Returns a catalogue entry by name; ValueError with close matches if unknown."""
    if name in DATASETS:
        return DATASETS[name]
    close = difflib.get_close_matches(name.lower().replace("-", ""), DATASETS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"choices: {', '.join(DATASETS)}"
    raise ValueError(f"no data set is called {name!r}; {hint} (see: python -m pipelines datasets)")

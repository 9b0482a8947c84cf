"""Class names and prompt templates of the public data sets, for zero-shot classification.

Source: CLIP (github.com/openai/CLIP, data/prompts.md); for FMoW and iWildCam, WiSE-FT
(github.com/mlfoundations/wise-ft). Another wording changes accuracy by points, so they are kept
as published, typos included; only underscores become spaces, and iWildCam's names lower case.

`NAMES` lists all class names in label order, for data sets whose files have no usable names.
`RENAMES` maps a data set's spelling (with spaces for underscores) to the name used in prompts;
it is keyed by name, so a different class order cannot mix up classes.
"""

from __future__ import annotations


def _names(text: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in text.split(","))


def _with_the(*templates: str) -> tuple[str, ...]:
    """Returns the templates, followed by copies with "the {}" instead of "a {}"."""
    return templates + tuple(
        template.replace("a {}", "the {}")
        if "a {}" in template
        else "the" + template.removeprefix("a")
        for template in templates
    )


_CIFAR = (
    "a photo of a {}.",
    "a blurry photo of a {}.",
    "a black and white photo of a {}.",
    "a low contrast photo of a {}.",
    "a high contrast photo of a {}.",
    "a bad photo of a {}.",
    "a good photo of a {}.",
    "a photo of a small {}.",
    "a photo of a big {}.",
    "a photo of the {}.",
    "a blurry photo of the {}.",
    "a black and white photo of the {}.",
    "a low contrast photo of the {}.",
    "a high contrast photo of the {}.",
    "a bad photo of the {}.",
    "a good photo of the {}.",
    "a photo of the small {}.",
    "a photo of the big {}.",
)

TEMPLATES: dict[str, tuple[str, ...]] = {
    "any": ("a photo of a {}.",),
    "food101": ("a photo of {}, a type of food.",),
    "cifar10": _CIFAR,
    "cifar100": _CIFAR,
    "caltech101": _with_the(
        "a photo of a {}.",
        "a painting of a {}.",
        "a plastic {}.",
        "a sculpture of a {}.",
        "a sketch of a {}.",
        "a tattoo of a {}.",
        "a toy {}.",
        "a rendition of a {}.",
        "a embroidered {}.",
        "a cartoon {}.",
        "a {} in a video game.",
        "a plushie {}.",
        "a origami {}.",
        "art of a {}.",
        "graffiti of a {}.",
        "a drawing of a {}.",
        "a doodle of a {}.",
    ),
    "dtd": (
        "a photo of a {} texture.",
        "a photo of a {} pattern.",
        "a photo of a {} thing.",
        "a photo of a {} object.",
        "a photo of the {} texture.",
        "a photo of the {} pattern.",
        "a photo of the {} thing.",
        "a photo of the {} object.",
    ),
    "oxford_flowers102": ("a photo of a {}, a type of flower.",),
    "oxford_iiit_pet": ("a photo of a {}, a type of pet.",),
    "stl10": ("a photo of a {}.", "a photo of the {}."),
    "fgvc_aircraft": (
        "a photo of a {}, a type of aircraft.",
        "a photo of the {}, a type of aircraft.",
    ),
    # WiSE-FT chooses "a" or "an" per class name; a fixed template cannot, so it uses "an".
    "fmow": (
        "satellite photo of a {}.",
        "aerial photo of a {}.",
        "satellite photo of an {}.",
        "aerial photo of an {}.",
        "satellite photo of a {} in asia.",
        "aerial photo of a {} in asia.",
        "satellite photo of a {} in africa.",
        "aerial photo of a {} in africa.",
        "satellite photo of a {} in the americas.",
        "aerial photo of a {} in the americas.",
        "satellite photo of a {} in europe.",
        "aerial photo of a {} in europe.",
        "satellite photo of a {} in oceania.",
        "aerial photo of a {} in oceania.",
        "a photo of a {}.",
        "{}.",
    ),
    "iwildcam": ("a photo of {}.", "{} in the wild."),
    "eurosat": (
        "a centered satellite photo of {}.",
        "a centered satellite photo of a {}.",
        "a centered satellite photo of the {}.",
    ),
    "ucf101": ("a photo of a person doing {}.",),
    "animals10": ("a photo of a {}.",),
    "common10": ("a photo of a {}.",),
}

RENAMES: dict[str, dict[str, str]] = {
    "eurosat": {
        "AnnualCrop": "annual crop land",
        "Forest": "forest",
        "HerbaceousVegetation": "brushland or shrubland",
        "Highway": "highway or road",
        "Industrial": "industrial buildings or commercial buildings",
        "Pasture": "pasture land",
        "PermanentCrop": "permanent crop land",
        "Residential": "residential buildings or homes or apartments",
        "River": "river",
        "SeaLake": "lake or sea",
    },
    "caltech101": {
        "background google": "background",
        "faces": "off-center face",
        "faces easy": "centered face",
        "leopards": "leopard",
        "motorbikes": "motorbike",
        "airplanes": "airplane",
        "car side": "side of a car",
        "cougar body": "body of a cougar cat",
        "cougar face": "face of a cougar cat",
        "crocodile head": "head of a crocodile",
        "flamingo head": "head of a flamingo",
        "snoopy": "snoopy (cartoon beagle)",
        "yin yang": "yin and yang symbol",
    },
    "oxford_flowers102": {
        "globe-flower": "globe flower",
        "pink-yellow dahlia?": "pink and yellow dahlia",
        "ball moss": "air plant",
    },
    "animals10": {
        "cane": "dog",
        "cavallo": "horse",
        "elefante": "elephant",
        "farfalla": "butterfly",
        "gallina": "chicken",
        "gatto": "cat",
        "mucca": "cow",
        "pecora": "sheep",
        "ragno": "spider",
        "scoiattolo": "squirrel",
    },
}

NAMES: dict[str, tuple[str, ...]] = {
    "common10": _names("airplane, car, cat, dog, flower, food, fruit, house, motorbike, person"),
    "cifar10": _names("airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck"),
    "cifar100": _names(
        """apple, aquarium fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy,
        bridge, bus, butterfly, camel, can, castle, caterpillar, cattle, chair, chimpanzee, clock,
        cloud, cockroach, couch, crab, crocodile, cup, dinosaur, dolphin, elephant, flatfish,
        forest, fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn mower, leopard, lion,
        lizard, lobster, man, maple tree, motorcycle, mountain, mouse, mushroom, oak tree, orange,
        orchid, otter, palm tree, pear, pickup truck, pine tree, plain, plate, poppy, porcupine,
        possum, rabbit, raccoon, ray, road, rocket, rose, sea, seal, shark, shrew, skunk,
        skyscraper, snail, snake, spider, squirrel, streetcar, sunflower, sweet pepper, table,
        tank, telephone, television, tiger, tractor, train, trout, tulip, turtle, wardrobe, whale,
        willow tree, wolf, woman, worm"""
    ),
    "stl10": _names("airplane, bird, car, cat, deer, dog, horse, monkey, ship, truck"),
    "fmow": _names(
        """airport, airport hangar, airport terminal, amusement park, aquaculture,
        archaeological site, barn, border checkpoint, burial site, car dealership,
        construction site, crop field, dam, debris or rubble, educational institution,
        electric substation, factory or powerplant, fire station, flooded road, fountain,
        gas station, golf course, ground transportation station, helipad, hospital,
        impoverished settlement, interchange, lake or pond, lighthouse, military facility,
        multi-unit residential, nuclear powerplant, office building, oil or gas facility, park,
        parking lot or garage, place of worship, police station, port, prison, race track,
        railway bridge, recreational facility, road bridge, runway, shipyard, shopping mall,
        single-unit residential, smokestack, solar farm, space facility, stadium, storage tank,
        surface mine, swimming pool, toll booth, tower, tunnel opening, waste disposal,
        water treatment facility, wind farm, zoo"""
    ),
    "iwildcam": _names(
        """empty, white-lipped peccary, central american agouti, lowland paca, cougar,
        south american tapir, collared peccary, red brocket, ocelot, ruddy quail-dove,
        south american coati, nine-banded armadillo, tayra, common opossum, crab-eating raccoon,
        jaguar, giant anteater, great tinamou, tapeti, jaguarundi, margay, brown brocket,
        gray four-eyed opossum, wild goat, cattle cow bull, sheep, wolf, scrub hare, olive baboon,
        common genet, cape bushbuck, slender mongoose, african bush elephant, gambian pouched rat,
        steenbok, striped hyena, impala, spotted hyena, caracal, wild horse, lion, common eland,
        waterbuck, common warthog, leopard, white-tailed mongoose, black-backed jackal,
        african buffalo, plains zebra, giraffe, hartebeest, vervet monkey, günther's dik-dik,
        bushpig, grant's gazelle, thomson's gazelle, common ostrich, aardvark, cheetah,
        white-bellied bustard, wildcat, east african oryx, buff-crested bustard, kori bustard,
        black-bellied bustard, great argus, leopard cat, banded palm civet, indian muntjac,
        wild boar, sun bear, sambar deer, malayan porcupine, asian golden cat, tiger,
        three-striped ground squirrel, common emerald dove, cape genet, crested porcupine,
        african wild dog, rock hyrax, dog, unknown bird, unknown bat, amazonian motmot,
        black agouti, geotrygon, white-nosed coati, northern tamandua, opossum, crested guan,
        hummingbird, plain parakeet, dromedary, bat-eared fox, vulturine guineafowl, zebra,
        aardwolf, serval, greater kudu, hippopotamus, spotted thick-knee, masked palm civet,
        marbled cat, dhole, asian water monitor, yellow-throated marten, banded linsang,
        crested partridge, salvadori's pheasant, bronze-tailed peacock-pheasant, sunda pangolin,
        sumatran serow, macaque, handsome spurfowl, l'hoest's monkey, black-fronted duiker,
        african brush-tailed porcupine, chimpanzee, blue monkey, mountain squirrel,
        western yellow wagtail, yellow-whiskered greenbul, little greenbul, charming thicket rat,
        forest giant squirrel, boehm's bush squirrel, yellow-backed duiker,
        common rufous-nosed rat, moustached grass warbler, peters's striped mouse,
        african wading rat, stella wood mouse, servaline genet, side-striped jackal,
        african pygmy mouse, ross's turaco, tambourine dove, tullberg's soft-furred mouse,
        big-eared swamp rat, egyptian goose, link rat, grey-winged francolin, olive thrush,
        brocket deer, gray fox, ocellated turkey, great curassow, lowland paca, baird's tapir,
        raccoon, white-tailed deer, grey-headed dove, central american red brocket,
        striped hog-nosed skunk, yucatan brown brocket, plain chachalaca, thomas's langur,
        sunda clouded leopard, sumatran hog badger, mouse-deer, sumatran treepie,
        rufous-vented niltava, silver-eared mesia, red-billed partridge, gallopheasants,
        javan whistling thrush, crestless fireback, crested serpent eagle, blue whistling thrush,
        collared mongoose, crab-eating fox, motorcycle, deer mouse, jaguarundi,
        bare-throated tiger heron, blue ground dove, red squirrel, unknown bird,
        grey-cowled wood rail, unknown dove, central american red brocket"""
    ),
}

"""Which of ImageNet's 1000 classes speak for which event, and how strongly.

EfficientNet-Lite0 was trained to tell ImageNet's classes apart; the rows of its classifier are
prototypes that know a banjo or a chainsaw from far more photographs than can be collected here. A
*concept* sums the probabilities of such classes, each with a weight: 1 where the class is the thing
itself, less where it only often stands in the same picture (a washbasin for a toilet).

The first 28 concepts are the events of `labels.EVENT_NAMES` in order; events that ImageNet does not know
have an empty row and rest on a trained probe (helicopter, mandolin, a speaking person) or on nothing
(shofar). The remaining concepts are what is commonly seen instead: they let the network say "no".
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..labels import EVENT_NAMES

IMAGENET_CLASSES: Final = 1000

# event → "index or range : weight", weight 1 where omitted.
_EVENTS: Final[dict[str, str]] = {
    "Church bell": "442 494 497 663:.3 577:.4 538:.2",
    "Bark": "151-268",
    "Fixed-wing aircraft, airplane": "404 895 908",
    "Race car, auto racing": "751 817:.8 573:.7 511:.3 518:.3 479:.2",
    "Violin, fiddle": "889",
    "Flute": "558 683:.4 699:.3 684:.3 432:.2",
    "Ukulele": "402:.8 420:.3",
    "Frying (food)": "567 909 827 544:.6 521:.5 469:.5 926:.4 659:.3 618:.3 813:.4 910:.3 766:.4",
    "Truck": "555 569 675 717 864 867 407:.4 803:.5 586:.3 609:.2 866:.3",
    "Motorcycle": "665 670 518:.4 535:.3 671:.2",
    "Acoustic guitar": "402 546:.4 420:.2",
    "Train horn": "466 547 565 705 820 829:.4",
    "Clock": "409 530 892 531:.2",
    "Banjo": "420 402:.2",
    "Goat": "348 349 350 351-353:.3",
    "Baby cry, infant cry": "431 516 520 529 443 452:.6 680:.6 697:.3",
    "Bus": "654 779 874",
    "Chainsaw": "491 740:.3 634:.3 621:.2",
    "Cat": "281-285",
    "Horse": "339 603 340:.2 690:.2",
    "Toilet flush": "861 999:.4 896:.4 435:.3 876:.3",
    "Rodents, rats, mice": "333-338 331:.2 356-359:.2",
    "Accordion": "401",
    "Mandolin": "402:.4 420:.5",
}

_OTHERS: Final[dict[str, str]] = {
    "person": "399 400 424 433 445 451 452 457 459 465 474 501 515 578 584 585 601 608 610 614 617 629 638 "
    "639 643 650 652 655 678 689 697 735 775 785 793 808 824 834 836 837 841 842 869 903 906 981-983",
    "other instrument": "432 486 513 541 546 566 577 579 593 594 641 642 683 684 687 699 776 822 875 881",
    "bird": "7-24 80-100 127-146",
    "wild animal": "269-280 286-299 340-347 351-388",
    "small animal": "0-6 25-79 101-126 300-332 389-397",
    "car": "407 436 468 479 511 581 609 627 656 661 734 757",
    "boat": "403 449 472 484 510 554 576 625 628 724 780 814 833 871 914",
    "other aircraft": "405 417 657 701 744 812",
    "bicycle": "444 671 870 880",
    "machine": "517 561 595 621 730 803 856 866 740",
}

# What is almost the event. A neighbour takes where the classifier is sure of it and much less of the event.
# What it as often says of the event itself is left out: a camel for a horse, a streetcar or a van for
# a bus, a rabbit for a mouse, an airship for a far aeroplane, a mountain bike for a motorcycle.
_NEIGHBOURS: Final[dict[str, str]] = {
    "Church bell": "437 483 668 682 698 832 900",
    "Bark": "269-280",
    "Race car, auto racing": "436 468 581 609 627 656 661 717 734",
    # A probe is not weighed against ImageNet's classes: sure of an animal but a bird in the sky, it errs.
    "Helicopter": "0-6 25-126 147-397",
    "Violin, fiddle": "402 420 486",
    "Flute": "432 513 566 593 683 776 875",
    "Ukulele": "486 546 889",
    "Motorcycle": "444 575 802 880",
    "Acoustic guitar": "486 546 889",
    "Train horn": "654 779",
    "Clock": "426 635 685 826",
    "Banjo": "486 541 546 889",
    "Goat": "341-347 351-355",
    "Chainsaw": "595 621 730 740 784 856",
    "Cat": "277-280 286-293 383 387",
    "Horse": "340-344 346 347 355 690",
    "Rodents, rats, mice": "298 299 360-363",
    "Mandolin": "486 546 889",
}
# A class that speaks for an event as strongly as this is the event itself.
_ITSELF: Final = 0.8

# Concepts that no ImageNet class covers, learnt as linear probes on the same features.
PROBES: Final = ("helicopter", "mandolin", "face")

# A probe adds to these concepts (by name) as if it were an ImageNet class of weight 1.
_PROBE_TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "helicopter": ("Helicopter",),
    "mandolin": ("Mandolin",),
    "face": ("person",),
}

CONCEPTS: Final[tuple[str, ...]] = (*EVENT_NAMES, *_OTHERS)
# The speech events are seen as a person; whether it is a man or a woman is left to the ear.
SPEECH_EVENTS: Final = ("Male speech, man speaking", "Female speech, woman speaking")


def _parse(row: str) -> dict[int, float]:
    weights: dict[int, float] = {}
    for item in row.split():
        span, _, weight = item.partition(":")
        first, _, last = span.partition("-")
        for index in range(int(first), int(last or first) + 1):
            weights[index] = float(weight or 1.0)
    return weights


def concept_matrix() -> NDArray[np.float32]:
    """[1000 + probes, concepts] non-negative weights, columns in the order of `CONCEPTS`."""
    matrix = np.zeros((IMAGENET_CLASSES + len(PROBES), len(CONCEPTS)), np.float32)
    for name, row in {**_EVENTS, **_OTHERS}.items():
        for index, weight in _parse(row).items():
            matrix[index, CONCEPTS.index(name)] = weight
    for position, probe in enumerate(PROBES):
        for target in _PROBE_TARGETS[probe]:
            matrix[IMAGENET_CLASSES + position, CONCEPTS.index(target)] = 1.0
    person = matrix[:, CONCEPTS.index("person")].copy()
    for event in SPEECH_EVENTS:
        matrix[:, CONCEPTS.index(event)] = person
    return matrix


def neighbour_matrix() -> NDArray[np.float32]:
    """[1000 + probes, 2·28]: 1 where a class or a probe is an event itself, then where it is almost one."""
    events = len(EVENT_NAMES)
    matrix = np.zeros((IMAGENET_CLASSES + len(PROBES), 2 * events), np.float32)
    matrix[:, :events] = concept_matrix()[:, :events] >= _ITSELF
    for name, row in _NEIGHBOURS.items():
        for index, weight in _parse(row).items():
            matrix[index, events + EVENT_NAMES.index(name)] = weight
    return matrix


def tables() -> dict[str, NDArray[np.float32]]:
    """What `VisualEvidence` holds beside its weights, by name there."""
    return {"concepts": concept_matrix(), "neighbours": neighbour_matrix()}

"""The sixteen classes: who draws each, on which backgrounds, and whose art it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Package = Literal["robohash", "node"]

PASTEL = ("ffd5dc", "ffdfbf", "fff3c4", "d8f3dc", "c0e8f9", "c7d2fe", "e5d4f5", "f1f1f1")
# For art of so few parts that only the background keeps the images apart.
VIVID = (
    *("ff6b6b", "e55039", "fa983a", "e58e26", "ff9f43", "feca57", "f8c291", "b8e994"),
    *("78e08f", "1dd1a1", "10ac84", "82ccdd", "48dbfb", "0abde3", "60a3bc", "54a0ff"),
    *("6a89cc", "4a69bd", "5f27cd", "c56cf0", "f368e0", "ff9ff3", "8395a7", "576574"),
)
OWN: tuple[str, ...] = ()
"""The style chooses among its own backgrounds."""


@dataclass(frozen=True, kw_only=True)
class AvatarClass:
    """One class of the set."""

    name: str
    package: Package
    style: str
    """What the package calls it."""
    backgrounds: tuple[str, ...]
    """Colours as rrggbb."""
    art: str
    """Maker and licence."""


def _robohash(name: str, style: str, art: str) -> AvatarClass:
    source = f"robohash 2.0 {style}, {art}"
    return AvatarClass(name=name, package="robohash", style=style, backgrounds=PASTEL, art=source)


def _dicebear(
    name: str, style: str, art: str, *, backgrounds: tuple[str, ...] = PASTEL
) -> AvatarClass:
    source = f"DiceBear {style} 9.4.3, {art}"
    return AvatarClass(name=name, package="node", style=style, backgrounds=backgrounds, art=source)


# The order is the labels': it must not change.
CLASSES = (
    _robohash("cat", "set4", "David Revoy, CC BY 4.0"),
    _robohash("robot", "set1", "Zikri Kader, CC BY 3.0 or 4.0"),
    _robohash("robot_head", "set3", "Julian Peter Arias, CC BY 3.0"),
    _robohash("monster", "set2", "Hrvoje Novakovic, CC BY 3.0"),
    AvatarClass(
        name="animal",
        package="node",
        style="animal",
        backgrounds=PASTEL,
        art="animal-avatar-generator 1.2.0, Roman Lukashik, MIT",
    ),
    _dicebear("pixel_person", "pixel-art", "CC0 1.0"),
    _dicebear("emoji_face", "fun-emoji", "Davis Uche, CC BY 4.0", backgrounds=VIVID),
    # Turned and moved thumbs are many without further colours.
    _dicebear("thumb", "thumbs", "CC0 1.0", backgrounds=OWN),
    _dicebear("open_peep", "open-peeps", "Pablo Stanley, CC0 1.0"),
    _dicebear("adventurer", "adventurer", "Lisa Wischofsky, CC BY 4.0"),
    _dicebear("big_smile", "big-smile", "Ashley Seo, CC BY 4.0"),
    _dicebear("dylan", "dylan", "Natalia Spivak, CC BY 4.0", backgrounds=VIVID),
    _dicebear("toon_head", "toon-head", "Johan Melin, CC BY 4.0"),
    _dicebear("micah", "micah", "Micah Lanier, CC BY 4.0"),
    _dicebear("lorelei", "lorelei", "Lisa Wischofsky, CC0 1.0"),
    _dicebear("identicon", "identicon", "CC0 1.0"),
)


def attribution() -> str:
    """The text that must travel with the images and with every model trained on them."""
    lines = [f"- {each.name}: {each.art}" for each in CLASSES]
    changes = "Changes made: parts combined by chance, backgrounds recoloured, rendered at 64x64."
    return "\n".join(["Classes and art licences", *lines, changes]) + "\n"

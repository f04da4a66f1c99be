"""What draws each class: parts of robohash pasted in process, or the renderer in Node.js."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nfig.data.avatars import node_packages, robohash_parts
from nfig.data.avatars.classes import AvatarClass
from nfig.data.avatars.distinct import Draw, Pixels
from nfig.data.avatars.node_renderer import NodeRenderer

SIDE = 64

DrawerOf = Callable[[AvatarClass], Draw]


@contextmanager
def public_packages() -> Iterator[DrawerOf]:
    """Installs what is missing on npm's side. Raises ValueError if something else is missing."""
    sets = robohash_parts.sets_folder()
    with NodeRenderer(node_packages.install(), side=SIDE) as renderer:

        def drawer_of(kind: AvatarClass) -> Draw:
            if kind.package == "robohash":
                folder = sets / kind.style
                parts = robohash_parts.load_parts(folder, backgrounds=kind.backgrounds, side=SIDE)
                return parts.draw
            return functools.partial(_draw_by_node, renderer, kind)

        yield drawer_of


def _draw_by_node(renderer: NodeRenderer, kind: AvatarClass, seed: str) -> Pixels:
    return renderer.draw(kind.style, seed=seed, backgrounds=kind.backgrounds)

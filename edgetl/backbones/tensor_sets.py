"""Finds the sets of named tensors in a training program's checkpoint, and the preferred one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from edgetl.errors import WeightsError
from edgetl.files.text import quoted, shortened

_DEEPEST = 3
_MOST_SETS = 50
# In the order in which timm.models.load_state_dict looks: averaged weights first
_PREFERRED = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")
_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?)([._]|$)")
_OF_TRAINING = re.compile("optim|^opt$|sched|scaler|callback|loop|rng|hyper_param|hparam")
_PLAIN = (int, float, str, bool, bytes, type(None))


@dataclass(frozen=True)
class TensorSet:
    """Named tensors and their place in the checkpoint: `state_dict_ema`, `module.net`; empty for the file itself.

    beside  places of the other sets of the same checkpoint
    """

    place: str
    tensors: Mapping[str, Tensor]
    beside: tuple[str, ...] = field(default=())

    @property
    def averaged(self) -> bool:
        """Whether the place indicates averaged weights (EMA, SWA)."""
        return is_averaged(self.place)


def is_averaged(name: str) -> bool:
    """Whether a key or a prefix speaks of averaged weights: `state_dict_ema`, `ema_model.module.`."""
    return bool(_AVERAGED.search(name))


def find_sets(content: object, where: str) -> tuple[TensorSet, ...]:
    """All mappings of names to tensors in `content`, three levels deep, the preferred one first: averaged weights, then
    the usual names, then the others in their order. Optimizer states do not count. Raises WeightsError if there are
    none; `where` starts the message."""
    places: dict[str, Mapping[str, Tensor]] = {}
    for place, tensors in _walk(content, (), set()):
        places.setdefault(place, tensors)
        if len(places) >= _MOST_SETS:
            break
    if not places:
        raise WeightsError(f"{where}: expected a mapping of names to tensors (a state dict); found {_found(content)}")
    ordered = sorted(places, key=_rank)
    return tuple(
        TensorSet(place, places[place], tuple(other for other in ordered if other != place)) for place in ordered
    )


def _walk(content: object, place: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    if not isinstance(content, Mapping) or len(place) > _DEEPEST or id(content) in seen:
        return
    seen.add(id(content))
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    inner = [(str(name), value) for name, value in content.items() if isinstance(value, Mapping)]
    plain = all(isinstance(value, (Tensor, *_PLAIN)) for value in content.values())
    if tensors and plain and all(isinstance(name, str) for name in content):
        yield ".".join(place), tensors
    for name, value in inner:
        if not _OF_TRAINING.search(name.lower()):
            yield from _walk(value, (*place, name), seen)


def _rank(place: str) -> tuple[int, int]:
    last = place.rpartition(".")[2]
    if last in _PREFERRED:
        return 0, _PREFERRED.index(last)
    return (0, 1) if is_averaged(place) else (1, 0)


def _found(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    if not content:
        return "an empty mapping"
    kinds = [f"{quoted(key)}: {type(value).__name__}" for key, value in list(content.items())[:5]]
    return shortened(f"{', '.join(kinds)}{', ...' if len(content) > len(kinds) else ''}", 300)

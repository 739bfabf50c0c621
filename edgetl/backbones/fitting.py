"""Finds a network's tensors in a checkpoint, whatever prefixes its training program added to their names, and makes
those of a stem for one channel fit three."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from edgetl.backbones.plan import Native, Plan
from edgetl.backbones.tensor_sets import TensorSet, is_averaged
from edgetl.errors import UsageError, WeightsError

_ANCHORS = 4
_MOST_PREFIXES = 20
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Fitted:
    """A set of tensors under the network's own names.

    tensors  by the network's names; extra tensors under the checkpoint's prefix keep their names
    outside  names of tensors that do not lie under the prefix: heads of the training program, its other networks
    notes    sentences about what was chosen, for the user; empty if there was no choice
    """

    tensors: dict[str, Tensor]
    outside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def fit(network: nn.Module, sets: Sequence[TensorSet], head: str, where: str) -> Fitted:
    """The first of `sets` that has every tensor of `network` outside its classifier `head`, in the right shape, under
    some prefix. If no set has: the first set under its likeliest prefix, so that the audit can say what does not fit.

    Raises WeightsError if several sets fit and nothing shows which one is meant.
    """
    names = _Names(network, head)
    fitting = [(each, prefixes) for each in sets if (prefixes := names.prefixes_that_fit(each.tensors))]
    if not fitting:
        return _without(sets[0], names.likeliest(sets[0].tensors), names, ())
    chosen, prefixes = fitting[0]
    others = [each.place for each, _ in fitting[1:]]
    _require_one(where, chosen, others)
    prefix = _one_prefix(where, prefixes)
    return _without(chosen, prefix, names, (*_about_set(chosen), *_about_prefix(prefix, prefixes)))


class _Names:
    """A network's own names, and those that fastai writes: the number of the outermost part instead of its name."""

    def __init__(self, network: nn.Module, head: str) -> None:
        state = network.state_dict()
        numbers = {name: str(number) for number, (name, _) in enumerate(network.named_children())}
        wanted = [name for name in state if not name.startswith(f"{head}.") and not name.endswith(_COUNTER)]
        self._shapes = {name: state[name].shape for name in wanted}
        self._forms = ({name: name for name in state}, {name: _numbered(name, numbers) for name in state})
        self._owners = {form: name for name, form in self._forms[1].items()}

    def own_name(self, name: str, numbered: bool) -> str | None:
        """The network's name for the tensor that is called `name` after the prefix."""
        return self._owners.get(name) if numbered else name

    def prefixes_that_fit(self, tensors: Mapping[str, Tensor]) -> list[tuple[str, bool]]:
        """Prefixes under which every tensor has its shape, and whether parts are numbered there."""
        found = []
        for numbered, form in enumerate(self._forms):
            for prefix in self._candidates(tensors, form):
                if all(_fits(tensors.get(prefix + form[name]), shape) for name, shape in self._shapes.items()):
                    found.append((prefix, bool(numbered)))
            if found:
                break
        return found

    def likeliest(self, tensors: Mapping[str, Tensor]) -> tuple[str, bool]:
        """The prefix under which most names lie, in any shape."""
        candidates = ["", *self._candidates(tensors, self._forms[0])]
        best = max(candidates, key=lambda prefix: sum(prefix + name in tensors for name in self._shapes))
        return best, False

    def _candidates(self, tensors: Mapping[str, Tensor], form: Mapping[str, str]) -> list[str]:
        # few names, the longest and so the most telling ones, are looked for; what they lead to is then verified
        anchors = sorted((form[name] for name in self._shapes), key=len, reverse=True)[:_ANCHORS]
        counted: Counter[str] = Counter()
        for anchor in anchors:
            ending = f".{anchor}"
            counted.update(name.removesuffix(anchor) for name in tensors if name == anchor or name.endswith(ending))
        return [prefix for prefix, _ in counted.most_common(_MOST_PREFIXES)]


def _numbered(name: str, numbers: Mapping[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return numbers.get(first, first) + dot + rest


def _fits(tensor: Tensor | None, shape: Sequence[int]) -> bool:
    if tensor is None:
        return False
    # a stem for one channel is one for three when it is spread over them
    spread = len(shape) == 4 and shape[1] == 3 and tuple(tensor.shape) == (shape[0], 1, *shape[2:])
    return spread or tensor.shape == shape


def _require_one(where: str, chosen: TensorSet, others: Sequence[str]) -> None:
    # timm's order decides between an average and the weights it is of; nothing decides between two networks
    known = ("state_dict", "model", "model_state_dict")
    if others and not chosen.averaged and chosen.place.rpartition(".")[2] not in known:
        raise WeightsError(
            f"{where}: contains several sets of weights that match: {', '.join([chosen.place, *others])}; "
            "save only one of them"
        )


def _one_prefix(where: str, prefixes: Sequence[tuple[str, bool]]) -> tuple[str, bool]:
    averaged = [each for each in prefixes if is_averaged(each[0].rstrip("."))]
    plain = [each for each in prefixes if not each[0]]
    found = averaged or plain or list(prefixes)
    if len(found) > 1:
        names = ", ".join(f"{prefix}*" for prefix, _ in found)
        raise WeightsError(f"{where}: contains several sets of weights that match: {names}; save only one of them")
    return found[0]


def _about_set(chosen: TensorSet) -> list[str]:
    if not chosen.place or (not chosen.averaged and not chosen.beside and chosen.place in ("state_dict", "model")):
        return []
    what = ", the averaged weights" if chosen.averaged else ""
    beside = f"; not {', '.join(chosen.beside)}" if chosen.beside else ""
    return [f"taken from `{chosen.place}`{what}{beside}"]


def _about_prefix(chosen: tuple[str, bool], prefixes: Sequence[tuple[str, bool]]) -> list[str]:
    others = [prefix or "no prefix" for prefix, _ in prefixes if prefix != chosen[0]]
    if not others:
        return []
    averaged = ", the averaged weights" if is_averaged(chosen[0].rstrip(".")) else ""
    return [f"taken from names that begin with `{chosen[0]}`{averaged}; not {', '.join(others)}"]


def _without(chosen: TensorSet, found: tuple[str, bool], names: _Names, notes: Sequence[str]) -> Fitted:
    prefix, numbered = found
    if not prefix and not numbered:
        return Fitted(dict(chosen.tensors), (), tuple(notes))
    tensors, outside = {}, []
    for name, tensor in chosen.tensors.items():
        own = names.own_name(name.removeprefix(prefix), numbered) if name.startswith(prefix) else None
        if own is None:
            outside.append(name)
        else:
            tensors[own] = tensor
    return Fitted(tensors, tuple(outside), tuple(notes))


def spread_stem(
    network: nn.Module, tensors: dict[str, Tensor], plan: Plan, where: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """`tensors` with the weights of a stem for one channel divided by three and repeated, and a note about it.

    A gray image is decoded to three equal channels. With the same mean and std for all of them, the sum over the
    channels equals the original stem's result. Raises WeightsError if they differ.
    """
    state = network.state_dict()
    gray = [name for name, tensor in tensors.items() if name in state and _one_for_three(tensor, state[name])]
    if plan.gray and not gray:
        raise UsageError(f"{where}: its config.json says 1 channel, but its weights are for three")
    if not gray:
        return tensors, ()
    assert isinstance(plan.native, Native)
    if len({*plan.native.mean}) > 1 or len({*plan.native.std}) > 1:
        raise WeightsError(
            f"{where}: made for 1 channel, and `{plan.architecture}` has a different mean and std for each color; "
            f"name a "
            "`local-dir:` folder whose config.json has the one mean and std that the network was trained with"
        )
    changed = {name: (tensors[name].float() / 3).repeat(1, 3, 1, 1) for name in gray}
    note = f"made for 1 channel: {gray[0]} is divided by 3 and repeated, which gives the same result for gray images"
    return {**tensors, **changed}, (note,)


def _one_for_three(have: Tensor, want: Tensor) -> bool:
    wanted = (want.shape[0], 1, *want.shape[2:]) if want.ndim == 4 else ()
    return want.ndim == 4 and want.shape[1] == 3 and tuple(have.shape) == wanted

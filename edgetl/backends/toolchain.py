"""What a backend needs: from it follow its version, why it cannot compile or run here, and the options of a target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetl.backends import requirements
from edgetl.errors import UsageError
from edgetl.files.text import nearest
from edgetl.types import PRECISIONS, Compiled, Missing, NumberFormat, Precision, Target


@dataclass(frozen=True)
class Needs:
    """What a toolchain offers and needs.

    formats        that it builds and runs, in every variant of the network
    module         its Python package; "" if it needs none
    remedy         how to install it
    distributions  that contain it; the version is that of the first one installed
    to_compile     False if only the last step, on the device, needs the package
    gpu            whether it runs on an NVIDIA GPU, or else on the CPU
    options        that a target may set
    """

    formats: tuple[NumberFormat, ...]
    module: str = ""
    remedy: str = ""
    distributions: tuple[str, ...] = ()
    to_compile: bool = True
    gpu: bool = False
    options: tuple[str, ...] = ()

    @property
    def precisions(self) -> tuple[Precision, ...]:
        return tuple(name for name, kind in PRECISIONS.items() if kind.format in self.formats)


class Toolchain:
    """The methods of a backend that follow from its needs."""

    name: str
    needs: Needs

    def version(self) -> str:
        return requirements.distribution_version(*self.needs.distributions)

    def missing(self) -> Missing | None:
        return self._no_module() if self.needs.to_compile else None

    def cannot_run(self, target: Target, precision: Precision | None = None) -> Missing | None:
        in_bfloat16 = precision is not None and PRECISIONS[precision].format == "bfloat16"
        return (
            requirements.wrong_precision(precision, self.needs.precisions, self.name)
            or requirements.wrong_machine(target)
            or self._no_module()
            or (requirements.no_cuda_driver() if self.needs.gpu else None)
            or (requirements.no_cpu_bfloat16() if in_bfloat16 and not self.needs.gpu else None)
        )

    def require_to_compile(self, target: Target, precision: Precision) -> None:
        """Raises UsageError for an unknown option, BackendError for what is missing here."""
        refuse_unknown(target, self.needs.options)
        wrong = requirements.wrong_precision(precision, self.needs.precisions, self.name)
        requirements.require(f"target {target.name}", self.missing(), wrong)

    def require_to_run(self, folder: Path, compiled: Compiled, target: Target) -> None:
        """Raises BackendError when this machine cannot run the build in `folder`."""
        requirements.require(str(folder), self.cannot_run(target, compiled.precision))

    def _no_module(self) -> Missing | None:
        return requirements.missing_module(self.needs.module, self.needs.remedy) if self.needs.module else None


def refuse_unknown(target: Target, known: tuple[str, ...]) -> None:
    """Raise UsageError for an option that the target's backend does not have."""
    for name in target.options:
        if name not in known:
            hint = nearest(name, known) if known else "it has none"
            raise UsageError(f"target {target.name}: {target.backend} has no option `{name}`; {hint}")


def integer(target: Target, name: str, default: int, *, low: int, high: int) -> int:
    """The option `name`, a whole number in [low, high]."""
    value = target.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(
            f"target {target.name}: option `{name}`: expected a whole number from {low} to {high}; found {value!r}"
        )
    return value


def words(target: Target, name: str) -> tuple[str, ...]:
    """The option `name` as words split at commas and spaces; () if it is not given. `8.9` counts as one word."""
    value = target.options.get(name, "")
    if isinstance(value, bool):
        raise UsageError(f"target {target.name}: option `{name}`: expected words separated by commas; found {value!r}")
    return tuple(str(value).replace(",", " ").split())

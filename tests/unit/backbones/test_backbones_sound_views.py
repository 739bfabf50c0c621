"""Views of clips: the same from the same generator, moved as far as the policy says, never out of range."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgetl.backbones.audio.views import SoundViews, _moved
from edgetl.errors import UsageError

RATE = 16000
POLICIES = ("none", "light", "speech", "sounds")


def clips(count: int = 4) -> torch.Tensor:
    """A tone of 0.2 s in the middle of a second of silence."""
    tone = np.zeros((count, RATE), np.int16)
    tone[:, 6400:9600] = np.rint(12000 * np.sin(2 * np.pi * 440 * np.arange(3200) / RATE))
    return torch.from_numpy(tone)


def drawn(policy: str, seed: int = 0, count: int = 4) -> torch.Tensor:
    return SoundViews(policy, RATE)(clips(count), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_generators_give_equal_views(policy: str) -> None:
    assert torch.equal(drawn(policy), drawn(policy))
    assert drawn(policy).dtype == torch.float32
    assert torch.equal(drawn(policy), drawn(policy, seed=1)) == (policy == "none")


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_every_clip_of_a_batch_is_moved_by_itself(policy: str) -> None:
    views = drawn(policy)
    assert not torch.equal(views[0], views[1])


def test_no_policy_changes_nothing() -> None:
    assert torch.equal(drawn("none"), clips().float())


def test_the_sound_stays_within_the_shift_of_its_policy() -> None:
    loud = drawn("light", count=50).abs() > 1000
    first = loud.int().argmax(1) / RATE
    assert (first - 0.4).abs().max() < 0.1 + 0.01
    assert first.max() - first.min() > 0.1
    assert loud.any(1).all()


def test_a_whole_shift_is_exact_and_brings_silence_in() -> None:
    ramp = torch.arange(1.0, 9)[None]
    later = _moved(ramp, torch.tensor([3.0]), torch.ones(1))
    earlier = _moved(ramp, torch.tensor([-2.0]), torch.ones(1))
    assert later.tolist() == [[0, 0, 0, 1, 2, 3, 4, 5]]
    assert earlier.tolist() == [[3, 4, 5, 6, 7, 8, 0, 0]]


def test_a_faster_tone_is_higher_and_shorter() -> None:
    faster = _moved(clips(1).float(), torch.zeros(1), torch.tensor([1.25]))[0]
    assert int(np.abs(np.fft.rfft(faster)).argmax()) == pytest.approx(550, abs=5)
    assert int((faster.abs() > 1000).sum()) == pytest.approx(0.8 * int((clips(1).abs() > 1000).sum()), rel=0.02)


def test_sounds_keep_their_pitch() -> None:
    for view in drawn("sounds", count=8):
        assert int(np.abs(np.fft.rfft(view)).argmax()) == pytest.approx(440, abs=3)


def test_loud_clips_are_cut_off_and_silent_ones_stay_silent() -> None:
    loud = torch.full((20, 800), 30000, dtype=torch.int16)
    views = SoundViews("speech", RATE)(loud, torch.Generator().manual_seed(0))
    assert float(views.max()) == 32767
    assert float(views.min()) >= -32768
    silent = SoundViews("speech", RATE)(torch.zeros(2, 800, dtype=torch.int16), torch.Generator().manual_seed(0))
    assert not silent.any()


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown augmentation policy `natural`"):
        SoundViews("natural", RATE)
    with pytest.raises(ValueError, match="expected int16"):
        SoundViews("light", RATE)(torch.zeros(2, 800), torch.Generator())

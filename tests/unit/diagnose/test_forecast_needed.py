"""Layers are given reduced range only where that brings the answers back."""

from __future__ import annotations

from dataclasses import replace

from saturating_models import bright_images, network

from edgetl.diagnose.forecast.forecast import exact, forecast, logits
from edgetl.diagnose.forecast.needed import candidates, matters, needed_layers, verify_remedy
from edgetl.diagnose.forecast.network import Network


def test_the_layer_that_saturates_is_needed_and_its_reduction_is_verified() -> None:
    model, images = network(), [bright_images(6)]
    opened = Network(model)
    found = forecast(model, images)
    assert matters(found.cost)
    tried: list[int] = []
    chosen = needed_layers(opened, found.layers, images, lambda: tried.append(1))
    assert chosen == ("first_layer",)
    assert len(tried) == candidates(found.layers) == 1
    remedy = verify_remedy(model, chosen, images, logits(opened, images, exact), [0] * 6)
    assert remedy.layers == chosen
    assert remedy.cost.logits_error < found.cost.logits_error
    assert remedy.enough == (not matters(remedy.cost))


def test_nothing_is_needed_where_nothing_saturates() -> None:
    model, images = network(peak=63), [bright_images(2)]
    found = forecast(model, images)
    assert not matters(found.cost)
    assert needed_layers(Network(model), found.layers, images) == ()


def test_a_layer_is_left_alone_where_the_answers_do_not_move() -> None:
    model, dark = network(), [bright_images(2) // 8]
    layers = [replace(layer, error_steps=1.0) for layer in forecast(model, dark).layers]
    assert candidates(layers) == 3
    assert needed_layers(Network(model), layers, dark) == ()


def test_a_layer_whose_rounding_costs_more_than_its_saturation_is_left_alone() -> None:
    model, images = network(), [bright_images(6)]
    first, second, third = forecast(model, images).layers
    costly = replace(second, error_steps=1000.0)  # tried first; it does not saturate, so rounding is all it would get
    assert needed_layers(Network(model), (first, costly, third), images) == ("first_layer",)

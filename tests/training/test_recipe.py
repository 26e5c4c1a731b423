"""Recipes are read strictly: what is wrong is one line that names the key."""

from pathlib import Path

import pytest
import yaml

from bbmr.errors import BbmrError
from bbmr.networks import build_network
from bbmr.training.errors import RecipeError
from bbmr.training.recipe import Recipe, differences, load_recipe, recipe_from, recipe_values, to_yaml
from bbmr.training.recipes import shipped_recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_valid_and_survive_a_round_trip(name: str) -> None:
    recipe = load_recipe(name)
    build_network(recipe.network)
    assert recipe_from(yaml.safe_load(to_yaml(recipe))) == recipe


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stesp: 5", r"stesp: unknown key \(did you mean steps\?\)"),
        ("schedule: {decya: 0.5}", r"schedule.decya: unknown key \(did you mean decay\?\)"),
        ("loss: {zzz: 1}", "loss.zzz: unknown key; known: chroma, name"),
        ("steps: many", "steps: 'many' is no whole number"),
        ("steps: 2.5", "steps: 2.5 is no whole number"),
        ("steps: true", "steps: True is no whole number"),
        ("steps: 0", "steps: is at least 1"),
        ("compile: 1", "compile: 1 is neither true nor false"),
        ("optimiser: {rate: fast}", "optimiser.rate: 'fast' is no number"),
        ("optimiser: {rate: .inf}", "optimiser.rate: inf is no number"),
        ("optimiser: {rate: -1}", "optimiser.rate: is above 0"),
        ("optimiser: muon", "optimiser: 'muon' is no section"),
        ("loss: {name: psrn}", r"loss.name: 'psrn' is unknown \(did you mean psnr\?\); one of l1, psnr"),
        ("precision: [a]", r"precision: \['a'\] is unknown"),
        ("schedule: {decay: 0}", "schedule.decay: is a share"),
        ("crop: 100", "crop: 100 is no multiple of 16"),
        ("maps: {blocks: {24: 1}}", "maps.blocks: has shares of 16, 32, 64, 128 only"),
        ("maps: {blocks: {16: 0.5}}", "maps.blocks: has shares from 0 to 1 that sum to 1"),
        ("maps: {blocks: 16}", "maps.blocks: 16 is no mapping"),
        ("validation: {pictures: 40}", "validation.pictures: is from 0 to validation.crops"),
        ("- steps", r"recipe: \['steps'\] is no section"),
        ("steps: 5\nsteps: 6", "'steps' is given twice"),
        ("steps: [", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=told) as caught:
        load_recipe(str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, BbmrError)


def test_unknown_recipes_are_told_their_neighbours() -> None:
    with pytest.raises(RecipeError, match=r"did you mean .*fast-mosaic.*shipped: fast-mosaic"):
        load_recipe("fast-mosiac")


def test_an_empty_recipe_has_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_recipe(str(tmp_path / "empty.yaml")) == Recipe()


def test_overrides() -> None:
    recipe = load_recipe(
        "fast-x4", ["optimiser.rate=2e-4", "maps.uniform_scales={2: 1}", "data.folder=here", "init_from=null"]
    )
    assert recipe.optimiser.rate == 2e-4  # which YAML 1.1 takes for text
    assert recipe.optimiser.rate_rest == load_recipe("fast-x4").optimiser.rate_rest
    assert (recipe.maps.scales, recipe.data.folder, recipe.init_from) == ((2,), "here", None)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("steps", "write it as key=value"),
        ("=5", "write it as key=value"),
        ("steps.more=5", "steps is no section"),
        ("optimizer.rate=1", r"optimizer: unknown key \(did you mean optimiser\?\)"),
        ("loss.name=[", "no YAML"),
    ],
)
def test_overrides_that_cannot_work_are_named(override: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        load_recipe("fast-x4", [override])


def test_differences_name_their_keys() -> None:
    old, new = (recipe_values(load_recipe("fast-x4", [f"schedule.decay={decay}"])) for decay in (0.4, 0.2))
    assert differences(old, new) == ["schedule.decay: 0.4 -> 0.2"]
    assert differences(old, old) == []

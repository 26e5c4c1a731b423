"""Recipes are read strictly: what is wrong is one line that names the key."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from bbmr.errors import BbmrError
from bbmr.networks import build_network
from bbmr.training.errors import RecipeError
from bbmr.training.module import TrainingModule
from bbmr.training.objective import rate_factor
from bbmr.training.recipe import Loss, Recipe, differences, load_recipe, recipe_from, recipe_values, to_yaml
from bbmr.training.recipes import shipped_recipes
from bbmr.training.tasks import find_task


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_valid_and_survive_a_round_trip(name: str) -> None:
    recipe = load_recipe(name)
    find_task(build_network(recipe.network), recipe)
    assert recipe_from(yaml.safe_load(to_yaml(recipe))) == recipe


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stesp: 5", r"stesp: unknown key \(did you mean steps\?\)"),
        ("schedule: {decya: 0.5}", r"schedule.decya: unknown key \(did you mean decay\?\)"),
        ("loss: {zzz: 1}", "loss.zzz: unknown key; known: chroma, lr, name"),
        ("steps: many", "steps: 'many' is no whole number"),
        ("steps: 2.5", "steps: 2.5 is no whole number"),
        ("steps: true", "steps: True is no whole number"),
        ("steps: 0", "steps: is at least 1"),
        ("seed: -1", "seed: is from 0 to"),
        ("seed: 9223372036854775808", r"seed: is from 0 to 2\*\*63 - 1"),
        ("compile: 1", "compile: 1 is neither true nor false"),
        ("optimiser: {rate: fast}", "optimiser.rate: 'fast' is no number"),
        ("optimiser: {rate: .inf}", "optimiser.rate: inf is no number"),
        ("optimiser: {rate: -1}", "optimiser.rate: is above 0"),
        ("optimiser: {last: 2}", "optimiser.last: is a share of the rates"),
        ("optimiser: muon", "optimiser: 'muon' is no section"),
        ("loss: {name: psrn}", r"loss.name: 'psrn' is unknown \(did you mean psnr\?\); one of l1, psnr"),
        ("precision: [a]", r"precision: \['a'\] is unknown"),
        ("schedule: {decay: 0}", "schedule.decay: is a share"),
        ("crop: 100", "crop: 100 is no multiple of 16"),
        ("maps: {blocks: {24: 1}}", "maps.blocks: has shares of 16, 32, 64, 128 only"),
        ("maps: {blocks: {16: 0.5}}", "maps.blocks: has shares from 0 to 1 that sum to 1"),
        ("maps: {blocks: 16}", "maps.blocks: 16 is no mapping"),
        ("validation: {pictures: 40}", "validation.pictures: is from 0 to validation.crops"),
        ("maps: {uniform: 0.6, shuffled: 0.5}", "maps.uniform, maps.shuffled: are at most 1 together"),
        ("schedule: {halve_every: 0}", "schedule.halve_every: is a share"),
        ("init_from: {two: x}", "init_from: 'two' is no whole number"),
        ("init_from: {2: 3}", "init_from.2: 3 is no text"),
        ("init_from: 5", "init_from: 5 is no text"),
        ("init_parts: body", "init_parts: body needs init_from"),
        ("{init_parts: body, init_from: {2: a}}", "init_parts: body needs init_from with one file"),
        ("init_parts: bdoy", r"init_parts: 'bdoy' is unknown \(did you mean body\?\)"),
        ("base: [a]", r"base: \['a'\] is no recipe's name or path"),
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
    with pytest.raises(RecipeError, match=r"did you mean .*fast-mosaic.*shipped: .*fast-x4"):
        load_recipe("fast-mosiac")


def test_an_empty_recipe_has_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_recipe(str(tmp_path / "empty.yaml")) == Recipe()


def test_a_recipe_may_change_another(tmp_path: Path) -> None:
    """Key by key, in sections too; shares belong together and are replaced whole."""
    (tmp_path / "first.yaml").write_text("base: fast-mosaic\nsteps: 7\nloss: {chroma: 1}\nmaps: {uniform: 0.5}\n")
    (tmp_path / "second.yaml").write_text("base: first.yaml\nloss: {name: psnr}\nmaps: {uniform_scales: {4: 1}}\n")
    own, changed = load_recipe("fast-mosaic"), load_recipe(str(tmp_path / "second.yaml"), ["batch=3"])
    assert (changed.steps, changed.batch, changed.loss) == (7, 3, Loss("psnr", 1.0))
    assert changed.maps == replace(own.maps, uniform=0.5, uniform_scales={4: 1.0})
    assert changed == replace(own, steps=7, batch=3, loss=changed.loss, maps=changed.maps)


def test_what_is_wrong_with_a_base_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("base: other.yaml\n")
    with pytest.raises(RecipeError, match=r"other.yaml: no such recipe"):
        load_recipe(str(mine))
    (tmp_path / "other.yaml").write_text("stesp: 5\n")
    with pytest.raises(RecipeError, match=r"^other.yaml: stesp: unknown key"):
        load_recipe(str(mine))
    (tmp_path / "other.yaml").write_text("- steps\n")
    with pytest.raises(RecipeError, match=r"^other.yaml: recipe: \['steps'\] is no section"):
        load_recipe(str(mine))
    (tmp_path / "other.yaml").write_text("base: mine.yaml\n")
    with pytest.raises(RecipeError, match=r"mine.yaml: base: is based on itself"):
        load_recipe(str(mine))


def test_the_papers_schedules_are_the_papers() -> None:
    """SR: batch 32, 5e-4 halved every 250 of 1000 epochs; Joint SR: batch 4, every 20 of 100; 3,450 pictures."""
    for name, epochs, batch, halved in (("omnisr-x4", 1000, 32, 250), ("joint-omnisr", 100, 4, 20)):
        recipe = load_recipe(f"paper-{name}")
        assert recipe.batch == batch
        assert recipe.steps == pytest.approx(epochs * 3450 / batch, rel=0.002)
        rates = [
            recipe.optimiser.rate_rest * rate_factor(step, recipe.steps, recipe.schedule)
            for step in (0, recipe.steps - 1)
        ]
        assert rates == pytest.approx([5e-4, 5e-4 / 2 ** (epochs // halved - 1)])
        assert (recipe.optimiser.name, recipe.loss.name) == ("adamw", "rgb_l1")
        (group,) = TrainingModule(recipe, build_network(recipe.network), []).configure_optimizers().param_groups
        theirs = torch.optim.AdamW([torch.zeros(())]).defaults
        for key in ("betas", "weight_decay"):
            assert group[key] == theirs[key]
    for scale, side in ((2, 64), (4, 64), (8, 32)):
        assert load_recipe(f"paper-omnisr-x{scale}").crop == side * scale
    assert load_recipe("paper-joint-omnisr").crop == 768
    assert load_recipe("paper-joint-omnisr").context == 0


def test_overrides() -> None:
    recipe = load_recipe(
        "fast-x4", ["optimiser.rate=2e-4", "maps.uniform_scales={2: 1}", "data.folder=here", "init_from=null"]
    )
    assert recipe.optimiser.rate == 2e-4  # which YAML 1.1 takes for text
    assert recipe.optimiser.rate_rest == load_recipe("fast-x4").optimiser.rate_rest
    assert (recipe.maps.scales, recipe.data.folder, recipe.init_from) == ((2,), "here", None)
    joint = load_recipe("joint-omnisr", ["init_from.2=mine.safetensors"])
    assert joint.init_from == {**load_recipe("joint-omnisr").init_from, 2: "mine.safetensors"}  # type: ignore[dict-item]


def test_an_override_changes_of_a_section_only_what_it_names() -> None:
    own, changed = (load_recipe("paper-omnisr-x4", given) for given in ([], ["optimiser={rate: 0.0001}"]))
    assert changed == replace(own, optimiser=replace(own.optimiser, rate=1e-4))
    assert load_recipe("fast-mosaic", ["maps.uniform_scales={4: 1}"]).maps.uniform_scales == {4: 1}  # shares are whole


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

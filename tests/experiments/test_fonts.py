"""Printed digits in, handwriting out: the data, runs on a generator of random weights, and what is made of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from safetensors.torch import save_model

from dp.config import PracticeConfig
from dp.data.image_set import ImageSet
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.guidance.guidance import GuidanceConfig
from dp.guidance.objectives import entropy
from dp.learner.models import ConvNet, build_learner, on_full_images
from dp.pretrained.load import bundled_generator
from dp.pretrained.train import GeneratorConfig, new_scheduler, new_unet, new_vae
from experiments.analysis import foreign, own_practice
from experiments.data import digits, fonts
from experiments.engine import practice_runs, results
from experiments.engine.results import Job
from experiments.engine.study import Profile
from experiments.engine.variants import Variant, VariedGenerator, Views
from experiments.studies import fonts as fonts_study
from experiments.studies import fonts_gap, fonts_generator, fonts_runs, fonts_tuning, ideas
from experiments.studies.fonts import Fonts
from experiments.studies.fonts_gap import Gap
from experiments.studies.ideas import Ideas
from experiments.verdicts.foreign import foreign_generator
from paper_figures.exhibits import fonts as figure
from paper_figures.exhibits import fonts_filters as filters_figure
from paper_figures.exhibits import fonts_gap as gap_figure
from paper_figures.exhibits import ideas as ideas_figure
from paper_figures.exhibits.filtering import FILTERS

DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def test_a_font_gives_ten_digits_of_one_size_in_the_middle():
    pictures = fonts.render(DEJAVU)
    assert pictures.shape == (10, 28, 28) and pictures.dtype == np.uint8
    for picture in pictures:
        rows, columns = np.nonzero(picture.any(1))[0], np.nonzero(picture.any(0))[0]
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == fonts.BOX
        assert abs(rows[0] + rows[-1] - 27) <= 1 and abs(columns[0] + columns[-1] - 27) <= 1


def test_a_file_that_is_no_font_or_lacks_digits_is_passed_over(tmp_path):
    (tmp_path / "no.ttf").write_bytes(b"no font")
    assert fonts.render(tmp_path / "no.ttf") is None
    assert fonts.render(DEJAVU.with_name("STIXSizOneSymReg.ttf")) is None


def test_pictures_that_are_the_same_count_once_in_their_class():
    one = fonts.render(DEJAVU)
    other = one.copy()
    other[3, 0, 0] = 9
    images, labels = fonts.distinct(np.stack([one, other, one]))
    assert len(images) == 11 and sorted(labels) == sorted([*range(10), 3])


def test_glyphs_are_all_different_and_as_many_of_each_class():
    found = fonts.glyphs()
    assert found.images.shape[1:] == (1, 32, 32) and len(found) > 10_000
    counts = found.labels.bincount()
    assert len(counts) == 10 and counts.min() > 0.95 * counts.max()
    pairs = zip(found.labels.tolist(), found.images, strict=True)
    assert len({(label, image.numpy().tobytes()) for label, image in pairs}) == len(found)


def test_changes_are_small_named_by_their_seed_and_keep_the_labels():
    some = ImageSet(fonts.glyphs().images[:50], fonts.glyphs().labels[:50])
    one, again, other = (fonts.changed(some, 120, seed) for seed in (1, 1, 2))
    assert torch.equal(one.images, again.images) and not torch.equal(one.images, other.images)
    assert torch.equal(one.labels, some.labels[torch.arange(120) % 50])
    moved = (one.images[:50].float() - some.images.float()).abs().mean() / some.images.float().mean()
    assert 0.05 < moved < 0.9
    assert 0.7 < one.images.float().mean() / some.images.float().mean() < 1.3


def test_parts_of_handwriting_share_no_image():
    parts = [digits.handwriting(part) for part in ("train", "validation", "test")]
    assert [len(each) for each in parts] == [1500, 1000, 2500]
    seen = [image.numpy().tobytes() for each in parts for image in each.images]
    assert len(seen) == 5000 and len(set(seen)) == len({i.numpy().tobytes() for i in all_of_mnist()})
    assert all(torch.equal(each.labels[:10], torch.arange(10)) for each in parts)


def all_of_mnist() -> list[torch.Tensor]:
    return [image for part in digits.PARTS for image in digits.mnist(part).images]


@pytest.fixture(scope="module")
def guided():
    """A generator of the repository and an untrained learner."""
    torch.manual_seed(0)
    config = PracticeConfig(inference_steps=4, rounds=0, n_per_round=0)
    learner = on_full_images(config, build_learner("convnet", 10))
    return bundled_generator(config), learner


LABELS, SEEDS, GUIDANCE = torch.arange(10), list(range(10)), GuidanceConfig(omega=0.3, interval=(0.0, 1.0))


def made(guided, variant: Variant, rounds: int = 1):
    generator, learner = guided
    varied = VariedGenerator(generator, variant)
    return [varied.generate(LABELS, SEEDS, learner, GUIDANCE, None, k) for k in range(1, rounds + 1)]


def test_nothing_changed_is_the_generator_itself(guided):
    (found,) = made(guided, Variant())
    expected = guided[0].generate(LABELS, SEEDS, guided[1], GUIDANCE)
    assert torch.equal(found.images, expected.images) and torch.equal(found.seeds, expected.seeds)


def test_the_harder_of_two_is_the_one_with_more_entropy(guided):
    (one,), (two,) = made(guided, Variant()), made(guided, Variant(harder_of=2))
    assert (two.entropy >= one.entropy).all() and (two.entropy > one.entropy).any()
    same = two.entropy == one.entropy
    assert torch.equal(two.images[same], one.images[same]) and torch.equal(one.seeds, two.seeds)


def test_strength_follows_the_entropy_that_was_reached(guided):
    first, second = made(guided, Variant(goal=0.01), rounds=2)
    assert torch.allclose(first.omega, torch.full((10,), 0.3)) and torch.allclose(second.omega, torch.full((10,), 0.15))


def test_views_are_the_mean_prediction_over_shifts(guided):
    images = digits.handwriting("test").images[:4] / 127.5 - 1
    found = Views(guided[1]).eval()(images).softmax(1)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), value=-1.0)
    shifts = [(2, 2), (0, 2), (4, 2), (2, 0), (2, 4)]
    expected = torch.stack([guided[1](padded[..., y : y + 32, x : x + 32]).softmax(1) for y, x in shifts]).mean(0)
    assert torch.allclose(found, expected, atol=1e-5)
    assert (entropy(found.log()) > 0).all()


SMALL = PracticeConfig(iterations=24, validate_every=2, batch_size=16, inference_steps=4, patience=1)


TRIED = ("filter_round_trip", "views", "confusion")
STUDIES = (fonts_tuning.STUDY, fonts_study.STUDY, fonts_gap.STUDY, ideas.STUDY)


def jobs_of(profile: Profile) -> list[Job]:
    """The jobs of the studies with printed digits, whether their generator is trained yet or not."""
    return [job for study in STUDIES for job in study.jobs(profile.settings(study), profile)]


def tiny() -> Profile:
    """The studies of printed digits with as little to do as they can have."""
    search = replace(
        fonts_tuning.STUDY.settings,
        base=replace(SMALL, seed=100),
        learners=("convnet",),
        size=8,
        random=1,
        neighbours=(),
    )
    return Profile(
        "smoke",
        {
            "fonts_tuning": search,
            "fonts": Fonts(
                ("convnet",), (0, 1), (4, 8, 12), (4, 8), real_sizes=(30,), glyph_sizes=(30,), filtered_size=8
            ),
            "fonts_gap": Gap(SMALL, (0, 1), seen=(0, 5), scales=(1.25,), size=8),
            "ideas": Ideas(("fonts",), (100,), (0, 1), {"fonts": (4, 8)}, ("convnet",), TRIED),
        },
    )


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    """Generators and a judge of random weights, and the results of all runs with them."""
    folder = tmp_path_factory.mktemp("bed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "ROOT", Path("/"))  # the files that results depend on are in a folder of their own
        patch.setattr(results, "folder", lambda name: folder / name)
        patch.setattr(practice_runs, "BUILD", folder / "build")
        patch.setattr(fonts_generator, "GENERATORS", folder)
        patch.setattr(fonts_generator, "ASSETS", folder)
        torch.manual_seed(0)
        config = GeneratorConfig()
        for seen in (0, 5):
            vae, unet = new_vae(config).half(), new_unet(config).half()
            LatentClassPipeline(vae, unet, new_scheduler()).save_pretrained(fonts_generator.folder_of(seen))
        save_model(ConvNet(10).half(), fonts_generator.judge_file("handwriting"))
        yield tiny()


REAL = {
    ("fonts-pictures", "pictures"),
    *(("fonts-equal-convnet", f"{method}-8-seed0") for method in ("static", "DP")),
    *(("fonts-reference-convnet", f"{source}-30-seed0") for source in ("real", "glyphs")),
    ("ideas-fonts-convnet", "own-8-seed0"),
    ("fonts-filters", "equal-diffusion_classifier-seed0"),
}  # runs that are computed; the others' results are made up


def made_up(job: Job) -> dict[str, Any]:
    """Return a result of the shape that real ones have; it depends on the job's name alone."""
    rng = np.random.default_rng(list(job.study.encode() + job.name.encode()))
    config = job.config
    names = ("validation_accuracy", "test_accuracy", "other_digits")
    outcome = {"pool_size": config["n_initial"] + config["rounds"] * config["n_per_round"]}
    outcome |= {"branched_at": None} | {name: float(rng.uniform(50, 90)) for name in names}
    sizes = [config["n_initial"] + (k + 1) * config["n_per_round"] for k in range(config["rounds"])]
    additions = [
        {"pool_size": size, "candidates": config["n_per_round"], "trigger": "patience", "iteration": 1}
        for size in sizes
    ]
    return {"outcomes": [outcome], "additions": additions, "recognised": [60.0] * (1 + config["rounds"])}


@pytest.fixture(scope="module")
def recorded(bed):
    """Every result of the bed by study and name."""
    while new := [job for job in jobs_of(bed) if results.state("smoke", job) != "present"]:
        for job in new:
            computed = (job.study, job.name) in REAL
            found = job.compute(job.config, lambda fraction: None) if computed else made_up(job)
            results.record("smoke", job, found, 1.0)
    return {(job.study, job.name): results.load("smoke", job.study)[job.name] for job in jobs_of(bed)}


@pytest.mark.parametrize("name", ["convnet-DP-00", "views-seed100"])
def test_no_trial_looks_at_test_images(bed, recorded, name, monkeypatch):
    def split(part: str) -> ImageSet:
        assert part != "test", "test images were read"
        return digits.handwriting("validation")

    def forbidden() -> ImageSet:
        raise AssertionError("test images were read")

    monkeypatch.setattr(fonts_runs, "handwriting", split)
    monkeypatch.setattr(fonts_runs, "other_digits", forbidden)
    job = next(job for job in jobs_of(bed) if job.name == name)
    found = job.compute(job.config, lambda fraction: None)
    assert found["outcomes"][0]["test_accuracy"] is None and "other_digits" not in found["outcomes"][0]
    with pytest.raises(AssertionError, match="test images were read"):
        job.compute({k: v for k, v in job.config.items() if k != "purpose"}, lambda fraction: None)


def test_the_runs_that_are_computed_are_among_those_asked_for(recorded):
    assert recorded.keys() >= REAL


def test_every_method_ends_with_the_size_that_its_name_says(recorded):
    for (study, name), result in recorded.items():
        if study.startswith(("fonts-equal", "fonts-tuned")):
            method, size, _ = name.split("-")
            config = result["config"]
            assert result["outcomes"][-1]["pool_size"] == int(size)
            assert (config["guidance"]["omega"] > 0) == (method == "DP")
            assert (config["over_sampling"] > 1) == (method == "prune")
            assert (config["rounds"] > 0) == (method != "static")
            assert len(result["recognised"]) == 1 + len(result["additions"])


def test_figures_and_verdicts_are_made_of_the_recorded_runs(recorded):
    files = [r for (study, name), r in recorded.items() if study == "fonts-equal-convnet" and name.startswith("DP-8")]
    dp = foreign.curves("smoke", "equal", "convnet", "other_digits")["DP"][8]
    assert sorted(dp) == sorted(r["outcomes"][-1]["other_digits"] for r in files) and len(dp) == 2
    found = foreign_generator("smoke")
    assert found.keys() == {"C1", "C2", "C5", "C7", "C12"}
    assert all(each["seeds"] == 2 for each in found.values())
    real = foreign.references("smoke", "convnet", "other_digits")["real"][30]
    assert found["C5"]["comparisons"]["equal-convnet"]["effect"] == pytest.approx(np.mean(dp) - np.mean(real))
    drawn = [each.make("smoke") for each in (figure, gap_figure, ideas_figure, filters_figure)]
    table = {(row["learner and settings"], row["method"], row["images"]): row for row in drawn[0].table}
    shown = table["ConvNet, equal settings", "DP", 8]["scikit-learn's digits %"]
    assert float(shown.split()[0]) == pytest.approx(np.mean(dp), abs=0.006)
    own = {row["images"]: row for row in drawn[2].table if row["run"] == "ConvNet, own"}
    files = [r for (study, name), r in recorded.items() if study == "ideas-fonts-convnet" and name.startswith("own-8")]
    assert own.keys() == {4, 8} and [row["seeds"] for row in own.values()] == [2, 2]
    expected = np.mean([r["outcomes"][-1]["test_accuracy"] for r in files])
    assert float(own[8]["test %"].split()[0]) == pytest.approx(expected, abs=0.006)
    filtered = {(row["settings"], row["runs"]): row for row in drawn[3].table}
    assert {name for _, name in filtered} == {shown for shown, *_ in FILTERS.values()} and len(filtered) == 8
    without = [row for (_, name), row in filtered.items() if name == "no filter"]
    assert all(row["difference"] is None and row["seeds"] == 2 for row in without)


def test_own_practice_is_compared_at_the_size_of_the_search_and_saves_images_over_all_sizes():
    found = {
        "static": {10: [70.0, 71.0], 100: [80.0, 80.2], 1000: [80.0, 80.1]},
        "prune": {10: [81.0, 81.4]},
        "DP": {10: [99.0, 99.0]},
        "own": {10: [84.0, 84.4], 100: [83.0, 83.1]},
    }
    leads = own_practice.leads(found, 10)
    assert leads["prune"].gain == pytest.approx(3.0) and leads["prune"].interval[0] < 3 < leads["prune"].interval[1]
    assert leads["prune"].deviations == pytest.approx(3 / np.std([0, 0.4], ddof=1))
    assert leads["DP"].gain == pytest.approx(-14.8) and own_practice.leads(found, 100).keys() == {"static"}
    saved = own_practice.saved(found)
    assert saved.ratio == pytest.approx(10) and saved.at_least
    without = {method: each for method, each in found.items() if method != "own"}
    assert own_practice.saved(without) is None and own_practice.leads(without, 10) == {}
    assert own_practice.leads(found | {"own": {10: [84.0]}}, 10) == {}


def test_an_idea_on_top_of_another_changes_something(recorded):
    tried = {name.rsplit("-seed", 1)[0]: r["config"] for (study, name), r in recorded.items() if study == "ideas-fonts"}
    assert len(tried) > 4 and any("+" in name for name in tried)
    settings = [{k: v for k, v in each.items() if k != "seed"} for each in tried.values()]
    assert all(one != other for i, one in enumerate(settings) for other in settings[:i])

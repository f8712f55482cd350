import base64
import copy
import io
import sys
from dataclasses import fields, replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from dp import bundled_oracle, bundled_pipeline
from dp.config import PracticeConfig
from dp.data.imagenet import class_list
from dp.generation import pipeline_info
from dp.generation.generator import Generator
from dp.generation.visualize import denoised_estimates
from dp.guidance.guidance import GuidanceConfig
from dp.guidance.guide import guide
from dp.guidance.linear_decoder import LinearDecoder
from dp.guidance.objectives import entropy
from dp.runs.inputs import Source
from dp.samples import concatenate
from dp.utils.errors import UserError
from dp.utils.seeding import stream

sys.path.append(str(Path(__file__).parents[3]))  # benchmarks/ is not installed

from benchmarks.tiny_pipelines import built

LABELS = torch.arange(7) % 10
SEEDS = [11, 22, 33, 44, 55, 66, 77]


@pytest.fixture
def generator(tiny_pipe) -> Generator:
    return Generator(tiny_pipe, guidance_scale=2.0, steps=4, batch_size=4)


def learner(images: torch.Tensor) -> torch.Tensor:
    rows = images[:, 0].mean(2)  # [B, 32]
    return rows[:, :10] * 3


@pytest.mark.parametrize("omega", [0.0, 0.5])
def test_an_image_depends_on_its_own_label_and_seed_alone(generator, omega):
    guidance = GuidanceConfig(omega)
    every = generator.generate(LABELS, SEEDS, learner, guidance)
    alone = concatenate([generator.generate(LABELS[i : i + 1], SEEDS[i : i + 1], learner, guidance) for i in range(7)])
    backwards = generator.generate(LABELS.flip(0), SEEDS[::-1], learner, guidance)[torch.arange(6, -1, -1)]
    assert every.images.dtype == torch.uint8 and every.images.shape == (7, 1, 32, 32)
    for field in fields(every):
        for other in (alone, backwards):
            assert torch.equal(getattr(every, field.name).nan_to_num(), getattr(other, field.name).nan_to_num())


def test_records_say_what_was_done(generator):
    guided = generator.generate(LABELS, SEEDS, learner, GuidanceConfig(0.5), round_=3)
    logits = learner(guided.images.float() / 127.5 - 1)
    assert guided.seeds.tolist() == SEEDS and guided.labels.tolist() == LABELS.tolist()
    assert guided.rounds.tolist() == [3] * 7 and guided.omega.tolist() == [0.5] * 7
    assert torch.allclose(guided.entropy, entropy(logits), atol=1e-3)
    assert guided.correct.tolist() == (logits.argmax(1) == LABELS).int().tolist()
    assert guided.zero_steps.tolist() == [0] * 7 and guided.entropy_before.isfinite().all()
    plain = generator.generate(LABELS, SEEDS)
    assert plain.omega.tolist() == [0.0] * 7 and plain.correct.tolist() == [-1] * 7
    assert plain.entropy.isnan().all() and plain.entropy_before.isnan().all()
    judged = generator.generate(LABELS, SEEDS, learner)
    assert torch.equal(judged.images, plain.images) and judged.entropy.isfinite().all()


def test_entropy_before_is_of_guidance_by_entropy_alone(generator):
    half = generator.generate(LABELS, SEEDS, learner, GuidanceConfig(0.5, strengths="half"))
    assert 0 < (half.omega > 0).sum() < 7
    assert torch.equal(half.entropy_before.isnan(), half.omega == 0)
    margin = generator.generate(LABELS, SEEDS, learner, GuidanceConfig(0.5, objective="margin"))
    assert margin.entropy_before.isnan().all()


def test_seeds_may_be_a_range_or_a_tensor(generator):
    listed = generator.generate(LABELS, list(range(7)))
    for seeds in (range(7), torch.arange(7)):
        assert torch.equal(generator.generate(LABELS, seeds).images, listed.images)


def test_the_loss_guides_a_pipeline_that_doubles_its_batch(dit):
    """The label of every image is the one it is generated for: another label gives another image."""

    def learner(images):
        return images[:, :, 0, :4].mean(1) * 4

    def loss(samples, labels):
        return torch.nn.functional.cross_entropy(learner(samples.images / 127.5 - 1), labels, reduction="none")

    generator, labels = Generator(dit, 3.0, 10, batch_size=4), torch.arange(3)
    plain = generator.generate(labels, [1, 2, 3], learner)
    guided = generator.generate(labels, [1, 2, 3], learner, GuidanceConfig(0.5, objective="loss"))
    assert (loss(guided, labels) > loss(plain, labels)).all()


def test_classes_of_imagenet_100_are_found_among_a_pipelines_1000(dit, tmp_path):
    dit.save_pretrained(tmp_path)
    config = PracticeConfig(guidance_scale=3.0, inference_steps=3, rounds=0, n_per_round=0)
    generator = Source(str(tmp_path), class_list="imagenet100", generation_batch=2).generator(config)
    assert generator.num_classes == 100
    made = generator.generate(torch.tensor([0, 99]), [1, 2])
    ranks = [class_list("imagenet1k").wnids.index(class_list("imagenet100").wnids[label]) for label in (0, 99)]
    assert ranks[0] == 15  # the robin
    assert torch.equal(made.images, Generator(dit, 3.0, 3, 2).generate(torch.tensor(ranks), [1, 2]).images)
    assert made.labels.tolist() == [0, 99]
    with pytest.raises(UserError, match="classes: got 2, but the pipeline has 1000 of its own; name all"):
        Source(str(tmp_path), classes=("cat", "dog")).generator(config)
    with pytest.raises(UserError, match=r'template: got "a \{\}", but DiTPipeline takes no prompts; leave it out'):
        Source(str(tmp_path), class_list="imagenet100", template="a {}").generator(config)


@pytest.mark.usefixtures("arithmetic")
def test_guided_images_are_harder(generator):
    before = generator.generate(LABELS, SEEDS, learner).entropy
    for gradient in ("x0", "unet"):
        after = generator.generate(LABELS, SEEDS, learner, GuidanceConfig(0.5, gradient=gradient)).entropy
        assert (after > before).all()


@pytest.mark.parametrize("gradient", ["x0", "unet"])
def test_a_guidance_of_the_users_own_neither_adds_to_the_generators_nor_is_lost(generator, gradient):
    guidance = GuidanceConfig(0.5, gradient=gradient)
    plain = generator.generate(LABELS, SEEDS).images
    expected = generator.generate(LABELS, SEEDS, learner, guidance)
    with guide(generator.pipe, learner, omega=0.9, gradient=gradient) as own:
        before = generator.pipe(LABELS, output_type="pt", generator=stream(0)).images
        assert torch.equal(generator.generate(LABELS, SEEDS).images, plain)
        assert torch.equal(generator.generate(LABELS, SEEDS, learner, guidance).images, expected.images)
        assert generator.pipe.scheduler.guidance is own.guidance
        assert torch.equal(generator.pipe(LABELS, output_type="pt", generator=stream(0)).images, before)
    assert torch.equal(generator.generate(LABELS, SEEDS).images, plain)


def test_images_of_no_numbers_are_refused(tiny_pipe):
    """They would be black ones; a VAE in half precision makes them."""
    pipe = copy.deepcopy(tiny_pipe)
    pipe.vae.decoder.conv_out.bias.data.fill_(torch.nan)
    with pytest.raises(UserError, match=r"pipeline: it makes images that are not finite numbers in torch\."):
        Generator(pipe, 2.0, 2).generate(LABELS, SEEDS)


def test_a_raw_linear_decoder_guides_too(tiny_pipe):
    cheap = Generator(tiny_pipe, 2.0, 4, batch_size=4, decoder=LinearDecoder(4, 1, 4))
    images = cheap.generate(LABELS, SEEDS, learner, GuidanceConfig(0.5)).images
    assert not torch.equal(images, cheap.generate(LABELS, SEEDS).images)


def test_prompts_name_the_classes(stable_diffusion, arithmetic):
    """Text-to-image: the class names are the prompts, with a template of one's own."""
    labels = torch.tensor([0, 1, 1])
    named = Generator(stable_diffusion, 3.0, 3, batch_size=3, classes=("cat", "dog"))
    photo = Generator(stable_diffusion, 3.0, 3, batch_size=3, classes=("cat", "dog"), template="a {} b")
    images = named.generate(labels, [1, 2, 2]).images
    assert images.shape == (3, 3, 16, 16) and torch.equal(images[1], images[2])
    assert not torch.equal(images, photo.generate(labels, [1, 2, 2]).images)
    rngs = [stream(seed) for seed in (1, 2, 2)]
    stock = stable_diffusion(["cat", "dog", "dog"], num_inference_steps=3, guidance_scale=3.0, generator=rngs)
    # diffusers' own call is in float32
    difference = (images[0].permute(1, 2, 0).int() - torch.tensor(np.array(stock.images[0])).int()).abs().max()
    assert difference <= 1 if arithmetic == torch.float32 else 0 < difference <= 8


def test_pixels_of_deepfloyd_are_those_of_its_pictures(monkeypatch):
    """Its tensors are in [-1, 1], where other pipelines give [0, 1]."""
    pipe, arguments = built("DeepFloyd IF", 2)
    given = arguments.pop("prompt_embeds"), arguments.pop("negative_prompt_embeds")
    monkeypatch.setattr(pipe, "encode_prompt", lambda *_, **__: given)
    monkeypatch.setattr("dp.utils.device.number_format", lambda device: torch.float32)  # that of diffusers' own call
    rngs = [stream(1), stream(2)]
    pictures = pipe(["a cat", "a dog"], num_inference_steps=3, generator=rngs, output_type="np").images
    samples = Generator(pipe, 7.0, 3, batch_size=2, classes=("a cat", "a dog")).generate([0, 1], [1, 2])
    assert torch.equal(samples.images, torch.from_numpy(pictures).permute(0, 3, 1, 2).mul(255).round().byte())


@pytest.mark.parametrize(
    ("name", "shape"), [("Sana", (3, 16, 16)), ("Qwen-Image", (3, 256, 256)), ("DiT", (3, 16, 16))]
)
def test_the_size_of_images_is_read_off_any_autoencoder(name, shape):
    assert pipeline_info.image_shape_of(built(name, 1)[0]) == shape


@pytest.mark.parametrize(
    ("sampler", "steps"),
    [
        ("DDIM", 6),
        ("DPMSolverMultistep", 6),
        ("EulerDiscrete", 6),
        ("FlowMatchEulerDiscrete", 5),  # the first sample is all noise
        ("HeunDiscrete", 6),
        ("LCM", 6),
        ("PNDM", 6),
        ("UniPCMultistep", 6),
    ],
)
def test_the_estimates_of_any_sampler_end_in_its_images(sampler, steps):
    pipe, guidance = bundled_pipeline(), GuidanceConfig(0.5, (0.0, 0.6))
    config = {**pipe.scheduler.config, "skip_prk_steps": True}
    pipe.scheduler = own = getattr(diffusers, f"{sampler}Scheduler").from_config(config)
    generator = Generator(pipe, guidance_scale=2.0, steps=6, batch_size=2)
    labels, seeds, oracle = torch.tensor([0, 3]), [5, 6], bundled_oracle()
    rows = denoised_estimates(generator, oracle, guidance, labels, seeds)
    assert pipe.scheduler is own and len(rows) == 2 * steps * 2
    for omega, place in ((0.0, 2 * steps), (0.5, 4 * steps)):
        made = generator.generate(labels, seeds, oracle, replace(guidance, omega=omega)).images
        for row, image in zip(rows[place - 2 : place], made, strict=True):
            last = np.array(Image.open(io.BytesIO(base64.b64decode(row["png"]))))
            near = 8 if sampler == "PNDM" else 2  # grey levels; PNDM's last step weighs earlier outputs too
            assert row["omega"] == omega and np.abs(last - image[0].numpy().astype(float)).mean() < near


def test_batches_are_sized_to_memory(tiny_pipe, stable_diffusion, monkeypatch):
    assert Generator(tiny_pipe, 2.0).batch_size == pipeline_info.MAX_BATCH
    monkeypatch.setattr("dp.generation.pipeline_info.PLAIN_NUMBERS", 10**9)
    assert Generator(stable_diffusion, 2.0, classes=("cat", "dog")).batch_size < pipeline_info.MAX_BATCH


def test_other_seed_or_label_is_another_image(tiny_pipe):
    pipe = copy.deepcopy(tiny_pipe)
    pipe.unet.class_embedding.weight.data *= 100  # as small as it is at random, a label changes less than a grey level
    generator = Generator(pipe, guidance_scale=2.0, steps=4, batch_size=4)
    base = generator.generate(LABELS[:1], [1]).images
    assert not torch.equal(base, generator.generate(LABELS[:1], [2]).images)
    assert not torch.equal(base, generator.generate(LABELS[:1] + 1, [1]).images)


def test_guidance_is_gone_after_use(generator):
    plain = generator.generate(LABELS, SEEDS).images
    guided = generator.generate(LABELS, SEEDS, learner, GuidanceConfig(0.5)).images
    assert not torch.equal(plain, guided)
    assert torch.equal(plain, generator.generate(LABELS, SEEDS).images)


def test_guidance_is_gone_after_a_learner_that_fails(generator):
    def broken(images):
        raise RuntimeError("out of order")

    with pytest.raises(UserError, match=r"learner: cannot classify images \[4, 1, 32, 32\] \(out of order\)"):
        generator.generate(LABELS, SEEDS, broken, GuidanceConfig(0.5))
    assert type(generator.pipe.scheduler) is DDIMScheduler


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.generate(LABELS, [1, 2]), "seeds: got 2 for 7 labels"),
        (lambda g: g.generate(LABELS[:0], []), "seeds: got 0 for 0 labels; give one or more labels"),
        (lambda g: g.generate(LABELS.float(), SEEDS), r"labels: got tensor\(.*, expected a list of integers"),
        (lambda g: g.generate(LABELS - 1, SEEDS), r"labels: got -1 \.\. 5, expected integers in 0 \.\. 9"),
        (lambda g: g.generate(LABELS + 4, SEEDS), r"labels: got 4 \.\. 10"),
        (lambda g: g.generate(LABELS, SEEDS, None, GuidanceConfig(0.3)), "learner: none given with omega 0.3"),
        (
            lambda g: g.generate(LABELS, SEEDS, learner, GuidanceConfig(0.3, objective="disagreement")),
            "other: none given; the objective disagreement needs a second learner",
        ),
        (
            lambda g: g.generate(LABELS, SEEDS, learner, GuidanceConfig(0.3, (0.6, 0.7))),
            r"interval: none of the 4 steps is at a noise level in \(0.6, 0.7\), so omega 0.3 would do nothing",
        ),
        (lambda g: g.generate(LABELS, SEEDS, "resnet50"), 'learner: got "resnet50", expected a module or a function'),
        (lambda g: Generator(g.pipe, 2.0, classes=("cat", "dog")), "classes: LatentClassPipeline takes class labels"),
        (lambda g: Generator(g.pipe, 2.0, classes=(0, 10)), r"expected its own, integers in 0 \.\. 9"),
        (lambda g: Generator(g.pipe, 2.0, steps=0), "steps: got 0, expected a number greater than or equal to 1"),
        (lambda g: Generator(g.pipe, 2.0, batch_size=0), "batch_size: got 0"),
    ],
)
def test_bad_requests_are_named(generator, call, message):
    with pytest.raises(UserError, match=message):
        call(generator)


def test_a_prompted_pipeline_needs_class_names(stable_diffusion):
    with pytest.raises(
        UserError, match="classes: StableDiffusionPipeline takes prompts; give the names of the classes"
    ):
        Generator(stable_diffusion, 3.0)


def test_an_unconditional_pipeline_has_no_classes(ddim):
    with pytest.raises(UserError, match="classes: got 2, but DDIMPipeline takes neither prompts nor class labels"):
        Generator(ddim, 1.0, classes=("cat", "dog"))


def test_a_safety_checker_is_refused(stable_diffusion):
    stable_diffusion.register_modules(safety_checker=torch.nn.Identity())
    with pytest.raises(UserError, match=r"pipe: has a safety checker, .* load the pipeline with safety_checker=None"):
        Generator(stable_diffusion, 3.0, classes=("cat", "dog"))


def test_pipeline_survives_saving(generator, tmp_path):
    generator.pipe.save_pretrained(tmp_path)
    pipe = type(generator.pipe).from_pretrained(tmp_path, local_files_only=True, low_cpu_mem_usage=False)
    pipe.set_progress_bar_config(disable=True)
    again = Generator(pipe, guidance_scale=2.0, steps=4, batch_size=4)
    assert torch.equal(generator.generate(LABELS, SEEDS).images, again.generate(LABELS, SEEDS).images)
    assert not list(tmp_path.rglob("*.bin"))


@pytest.mark.parametrize("labels", [[], [10], [-1]])
def test_pipeline_refuses_labels_out_of_range(tiny_pipe, labels):
    with pytest.raises(ValueError, match=r"class_labels: expected one or more labels in 0 \.\. 9"):
        tiny_pipe(labels)

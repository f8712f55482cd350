import pytest
import torch

from dp.errors import UserError
from dp.generator import Generator

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
    every = generator.generate(LABELS, SEEDS, learner, omega)
    alone = torch.cat([generator.generate(LABELS[i : i + 1], SEEDS[i : i + 1], learner, omega) for i in range(7)])
    backwards = generator.generate(LABELS.flip(0), SEEDS[::-1], learner, omega).flip(0)
    assert every.dtype == torch.uint8 and every.shape == (7, 1, 32, 32)
    assert torch.equal(every, alone)
    assert torch.equal(every, backwards)


def test_other_seed_or_label_is_another_image(generator):
    base = generator.generate(LABELS[:1], [1])
    assert not torch.equal(base, generator.generate(LABELS[:1], [2]))
    assert not torch.equal(base, generator.generate(LABELS[:1] + 1, [1]))


def test_guidance_is_gone_after_use(generator):
    plain = generator.generate(LABELS, SEEDS)
    guided = generator.generate(LABELS, SEEDS, learner, 0.5)
    assert not torch.equal(plain, guided)
    assert torch.equal(plain, generator.generate(LABELS, SEEDS))


def test_guidance_is_gone_after_a_learner_that_fails(generator):
    def broken(images):
        raise RuntimeError("learner")

    with pytest.raises(RuntimeError, match="learner"):
        generator.generate(LABELS, SEEDS, broken, 0.5)
    assert generator.pipe.scheduler.guidance is None


def test_seeds_must_match_labels(generator):
    with pytest.raises(UserError, match="seeds: got 2 for 7 labels"):
        generator.generate(LABELS, [1, 2])


def test_pipeline_survives_saving(generator, tmp_path):
    generator.pipe.save_pretrained(tmp_path)
    pipe = type(generator.pipe).from_pretrained(tmp_path, local_files_only=True, low_cpu_mem_usage=False)
    pipe.set_progress_bar_config(disable=True)
    again = Generator(pipe, guidance_scale=2.0, steps=4, batch_size=4)
    assert torch.equal(generator.generate(LABELS, SEEDS), again.generate(LABELS, SEEDS))
    assert not list(tmp_path.rglob("*.bin"))


@pytest.mark.parametrize("labels", [[], [10], [-1]])
def test_pipeline_refuses_labels_out_of_range(tiny_pipe, labels):
    with pytest.raises(ValueError, match=r"class_labels: expected one or more labels in 0 \.\. 9"):
        tiny_pipe(labels)

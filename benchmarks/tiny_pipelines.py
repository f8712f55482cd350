"""Build diffusers' own pipelines tiny, with random weights and given text embeddings: what is tried is the plumbing.

Each builder returns a pipeline and the arguments of its call that ask for `n` images from `n` random generators.
"""

from collections.abc import Callable
from typing import Any

import diffusers as d
import torch
from torch import Tensor

Built = tuple[Any, dict[str, Any]]
SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def embeds(n: int, length: int, width: int, seed: int = 0) -> Tensor:
    """Return one random text embedding for n images."""
    return torch.randn(1, length, width, generator=torch.Generator().manual_seed(seed)).expand(n, -1, -1).contiguous()


def vae(channels: int = 4, **more: Any) -> Any:
    """Return an autoencoder of images twice the latents' side."""
    settings: dict[str, Any] = {
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (8, 8),
        "latent_channels": channels,
        "norm_num_groups": 4,
        "sample_size": 16,
    }
    return d.AutoencoderKL(**(settings | more)).eval()


def unet(cross: int = 16, **more: Any) -> Any:
    """Return a U-Net that attends to text embeddings."""
    settings: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 4,
        "norm_num_groups": 4,
        "cross_attention_dim": cross,
    }
    return d.UNet2DConditionModel(**(settings | more)).eval()


def _stable_diffusion(kind: Any, scheduler: Any, net: Any, **more: Any) -> Any:
    return kind(
        vae=vae(),
        text_encoder=None,
        tokenizer=None,
        unet=net,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **more,
    )


def sd1(n: int) -> Built:
    """Stable Diffusion 1 with the sampler that it ships with."""
    pipe = _stable_diffusion(
        d.StableDiffusionPipeline, d.PNDMScheduler(skip_prk_steps=True, steps_offset=1, **SD), unet()
    )
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "guidance_scale": 3.0,
        "guidance_rescale": 0.5,
    }


def img2img(n: int) -> Built:
    """Stable Diffusion, image to image."""
    pipe = _stable_diffusion(d.StableDiffusionImg2ImgPipeline, d.DPMSolverMultistepScheduler(**SD), unet())
    picture = torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "image": picture,
        "strength": 0.7,
    }


def inpaint(n: int) -> Built:
    """Inpainting by a U-Net of 9 channels."""
    pipe = _stable_diffusion(d.StableDiffusionInpaintPipeline, d.EulerDiscreteScheduler(**SD), unet(in_channels=9))
    picture = torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    mask = torch.zeros(n, 1, 16, 16)
    mask[:, :, 4:12, 4:12] = 1
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "image": picture,
        "mask_image": mask,
        "height": 16,
        "width": 16,
    }


def controlnet(n: int) -> Built:
    """Stable Diffusion with a ControlNet, which sees the noisy sample too."""
    net = unet()
    control = d.ControlNetModel.from_unet(net, conditioning_embedding_out_channels=(8, 8)).eval()
    torch.manual_seed(1)
    for p in control.parameters():  # its outputs start at zero
        torch.nn.init.normal_(p, std=0.1)
    pipe = _stable_diffusion(
        d.StableDiffusionControlNetPipeline, d.UniPCMultistepScheduler(**SD), net, controlnet=control
    )
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "image": torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(5)),
    }


def lcm(n: int) -> Built:
    """A latent consistency model, which takes the guidance scale as an input."""
    pipe = d.LatentConsistencyModelPipeline(
        vae=vae(),
        text_encoder=None,
        tokenizer=None,
        unet=unet(time_cond_proj_dim=8),
        scheduler=d.LCMScheduler(**SD),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return pipe, {"prompt_embeds": embeds(n, 4, 16)}


def xl(n: int) -> Built:
    """Stable Diffusion XL with Euler's sampler and latents_mean and latents_std, as Playground 2.5 has them."""
    net = unet(
        32, addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + 16
    )
    pipe = d.StableDiffusionXLPipeline(
        vae=vae(latents_mean=[-1.6, 1.1, 3.0, -2.5], latents_std=[8.4, 6.0, 5.8, 9.7]),
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        unet=net,
        scheduler=d.EulerDiscreteScheduler(timestep_spacing="leading", steps_offset=1, **SD),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    return pipe, {
        "prompt_embeds": embeds(n, 4, 32),
        "pooled_prompt_embeds": embeds(n, 1, 16)[:, 0],
        "negative_prompt_embeds": embeds(n, 4, 32, 1),
        "negative_pooled_prompt_embeds": embeds(n, 1, 16, 1)[:, 0],
        "height": 16,
        "width": 16,
    }


def sd3(n: int) -> Built:
    """Stable Diffusion 3."""
    net = d.SD3Transformer2DModel(
        sample_size=8,
        patch_size=1,
        in_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        pooled_projection_dim=16,
        out_channels=4,
    ).eval()
    parts = dict.fromkeys(
        ("text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3")
    )
    pipe = d.StableDiffusion3Pipeline(
        transformer=net,
        scheduler=d.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(shift_factor=0.06, scaling_factor=1.5),
        **parts,
    )
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "pooled_prompt_embeds": embeds(n, 1, 16)[:, 0],
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "negative_pooled_prompt_embeds": embeds(n, 1, 16, 1)[:, 0],
        "height": 16,
        "width": 16,
    }


def flux(n: int) -> Built:
    """FLUX, whose latents are packed, of a picture that is no square."""
    net = d.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    ).eval()
    pipe = d.FluxPipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae(shift_factor=0.1, scaling_factor=0.36),
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=net,
    )
    return pipe, {
        "prompt_embeds": embeds(n, 4, 32),
        "pooled_prompt_embeds": embeds(n, 1, 32)[:, 0],
        "height": 16,
        "width": 24,
    }


def pixart(n: int) -> Built:
    """PixArt, with DPM-Solver++ and a learnt variance."""
    net = d.PixArtTransformer2DModel(
        sample_size=8,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=2,
        caption_channels=16,
        in_channels=4,
        cross_attention_dim=16,
        out_channels=8,
        attention_bias=True,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
        use_additional_conditions=False,
    ).eval()
    pipe = d.PixArtSigmaPipeline(
        tokenizer=None, text_encoder=None, vae=vae(), transformer=net, scheduler=d.DPMSolverMultistepScheduler()
    )
    mask = torch.ones(n, 4)
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "prompt_attention_mask": mask,
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "negative_prompt_attention_mask": mask,
        "negative_prompt": None,
        "use_resolution_binning": False,
        "height": 16,
        "width": 16,
    }


def sana(n: int) -> Built:
    """Sana, with a deep-compression autoencoder."""
    net = d.SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=8,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=16,
        sample_size=8,
    ).eval()
    deep = d.AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=[1, 1],
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    ).eval()
    pipe = d.SanaPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=deep,
        transformer=net,
        scheduler=d.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    mask = torch.ones(n, 4)
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "prompt_attention_mask": mask,
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "negative_prompt_attention_mask": mask,
        "negative_prompt": None,
        "use_resolution_binning": False,
        "height": 32,
        "width": 32,
    }


def auraflow(n: int) -> Built:
    """AuraFlow."""
    net = d.AuraFlowTransformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        out_channels=4,
        pos_embed_max_size=64,
    ).eval()
    pipe = d.AuraFlowPipeline(
        tokenizer=None, text_encoder=None, vae=vae(), transformer=net, scheduler=d.FlowMatchEulerDiscreteScheduler()
    )
    mask = torch.ones(n, 4)
    return pipe, {
        "prompt_embeds": embeds(n, 4, 32),
        "prompt_attention_mask": mask,
        "negative_prompt_embeds": embeds(n, 4, 32, 1),
        "negative_prompt_attention_mask": mask,
        "height": 16,
        "width": 16,
    }


def lumina2(n: int) -> Built:
    """Lumina 2, which calls its transformer twice for classifier-free guidance."""
    net = d.Lumina2Transformer2DModel(
        sample_size=4,
        patch_size=2,
        in_channels=4,
        hidden_size=8,
        num_layers=1,
        num_attention_heads=1,
        num_kv_heads=1,
        multiple_of=16,
        ffn_dim_multiplier=None,
        norm_eps=1e-5,
        scaling_factor=1.0,
        axes_dim_rope=[4, 2, 2],
        cap_feat_dim=8,
    ).eval()
    pipe = d.Lumina2Pipeline(
        transformer=net,
        vae=vae(shift_factor=0.1),
        scheduler=d.FlowMatchEulerDiscreteScheduler(),
        text_encoder=None,
        tokenizer=None,
    )
    mask = torch.ones(n, 4, dtype=torch.int64)
    return pipe, {
        "prompt_embeds": embeds(n, 4, 8),
        "prompt_attention_mask": mask,
        "negative_prompt_embeds": embeds(n, 4, 8, 1),
        "negative_prompt_attention_mask": mask,
        "height": 32,
        "width": 32,
    }


def qwen(n: int) -> Built:
    """Qwen-Image: packed latents, an autoencoder of videos, two calls for classifier-free guidance."""
    net = d.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    ).eval()
    video = d.AutoencoderKLQwenImage(
        base_dim=12,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.5, 2.0, 1.0, 0.7],
    ).eval()
    pipe = d.QwenImagePipeline(
        scheduler=d.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=video,
        text_encoder=None,
        tokenizer=None,
        transformer=net,
    )
    mask = torch.ones(n, 4, dtype=torch.int64)
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "prompt_embeds_mask": mask,
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "negative_prompt_embeds_mask": mask,
        "true_cfg_scale": 2.0,
        "height": 16,
        "width": 24,
    }


def kandinsky(n: int) -> Built:
    """Kandinsky 2.2's decoder: MoVQ and a learnt variance."""
    net = d.UNet2DConditionModel(
        in_channels=4,
        out_channels=8,
        addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(8, 16),
        layers_per_block=1,
        encoder_hid_dim=16,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=16,
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
        class_embed_type=None,
        norm_num_groups=4,
    ).eval()
    movq = d.VQModel(
        block_out_channels=(32, 32),
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        in_channels=3,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        norm_type="spatial",
        num_vq_embeddings=12,
        out_channels=3,
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        vq_embed_dim=4,
    ).eval()
    with torch.no_grad():  # its norms multiply by the latents, which a network of random weights leaves large
        movq.decoder.conv_out.weight *= 0.02
    scheduler = d.DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, variance_type="learned_range", clip_sample=False
    )  # the noise levels that Kandinsky was trained with
    pipe = d.KandinskyV22Pipeline(net, scheduler, movq)
    rng = torch.Generator().manual_seed(0)
    return pipe, {
        "image_embeds": torch.randn(1, 16, generator=rng).expand(n, -1),
        "negative_image_embeds": torch.randn(1, 16, generator=rng).expand(n, -1),
        "height": 32,
        "width": 32,
    }


def deepfloyd(n: int) -> Built:
    """DeepFloyd IF's first stage: pixels, a learnt variance, thresholding."""
    net = d.UNet2DConditionModel(
        sample_size=16,
        in_channels=3,
        out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=16,
        encoder_hid_dim=16,
        encoder_hid_dim_type="text_proj",
        attention_head_dim=4,
        norm_num_groups=4,
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
    ).eval()
    scheduler = d.DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", thresholding=True, sample_max_value=1.5, variance_type="learned_range"
    )
    pipe = d.IFPipeline(
        tokenizer=None,
        text_encoder=None,
        unet=net,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )
    return pipe, {
        "prompt_embeds": embeds(n, 4, 16),
        "negative_prompt_embeds": embeds(n, 4, 16, 1),
        "height": 16,
        "width": 16,
    }


def dit(n: int) -> Built:
    """DiT, whose scheduler takes both halves of classifier-free guidance."""
    net = d.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        sample_size=8,
        patch_size=2,
        norm_num_groups=4,
    ).eval()
    pipe = d.DiTPipeline(net, vae(), d.DDIMScheduler(clip_sample=False))
    return pipe, {"class_labels": [i % 7 for i in range(n)], "guidance_scale": 3.0}


PIPELINES: dict[str, Callable[[int], Built]] = {
    "Stable Diffusion 1": sd1,
    "Stable Diffusion, image to image": img2img,
    "Stable Diffusion, inpainting": inpaint,
    "ControlNet": controlnet,
    "Stable Diffusion XL": xl,
    "LCM": lcm,
    "Stable Diffusion 3": sd3,
    "FLUX": flux,
    "PixArt": pixart,
    "Sana": sana,
    "AuraFlow": auraflow,
    "Lumina 2": lumina2,
    "Qwen-Image": qwen,
    "Kandinsky 2.2": kandinsky,
    "DeepFloyd IF": deepfloyd,
    "DiT": dit,
}
ZERO_AT_FIRST = ("proj_out", "norm_out", "conv_out", "final")  # layers that some networks start at zero


def built(name: str, n: int) -> Built:
    """Return the tiny pipeline of that name, with the same weights whenever it is asked for, and its arguments."""
    torch.manual_seed(0)
    pipe, arguments = PIPELINES[name](n)
    for part in ("unet", "transformer"):
        for weight_name, p in getattr(pipe, part, torch.nn.Identity()).named_parameters():
            if p.ndim > 1 and float(p.detach().abs().max()) == 0 and any(each in weight_name for each in ZERO_AT_FIRST):
                torch.nn.init.normal_(p, std=0.1)
    pipe.set_progress_bar_config(disable=True)
    return pipe, arguments


def sampled(pipe: Any, arguments: dict[str, Any], n: int, steps: int = 8, first: int = 0) -> Tensor:
    """Return n images float [n, C, H, W] in [0, 1], each from its own random generator."""
    rngs = [torch.Generator().manual_seed(first + seed) for seed in range(n)]
    # Kandinsky and DeepFloyd IF, which have no processor of images, give tensors in [-1, 1] and not clamped.
    kind = "pt" if hasattr(pipe, "image_processor") else "np"
    made = pipe(**arguments, num_inference_steps=steps, generator=rngs, output_type=kind, return_dict=False)[0]
    return made if isinstance(made, Tensor) else torch.from_numpy(made).permute(0, 3, 1, 2)

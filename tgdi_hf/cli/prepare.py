"""`tgdi prepare`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import (
    BF16,
    Ambiguous,
    CacheDir,
    FeaturesDtype,
    ImageResize,
    LocalFilesOnly,
    ObjectResize,
    ReadObjects,
    RepeatedMention,
    Revision,
    Workers,
    image_options,
)


def prepare(
    data: Annotated[
        Path,
        typer.Argument(
            help="Posts: a file (.jsonl, .json, .csv or .parquet), a folder with one file per split, or a folder in "
            "MNRE's layout."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="New folder for the prepared posts.")],
    captioner: Annotated[
        str, typer.Option(help="Image-to-text model, or 'none'. On a CPU: Salesforce/blip-image-captioning-base.")
    ] = "Salesforce/blip2-opt-2.7b",
    grounder: Annotated[
        str, typer.Option(help="Zero-shot object detector, or 'none'.")
    ] = "IDEA-Research/grounding-dino-tiny",
    captioner_revision: Revision = None,
    grounder_revision: Revision = None,
    prompt: Annotated[
        str | None, typer.Option(help="Prompt of the captioner.", show_default="the model's default")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Minimum score of an object.", show_default="the model's default")
    ] = None,
    objects: Annotated[
        str, typer.Option(help="Objects of an MNRE folder: 'none', or 'published' to import the release's crops.")
    ] = "none",
    spacy: Annotated[
        str | None, typer.Option(help="spaCy pipeline that finds noun phrases.", show_default="a rule")
    ] = None,
    ambiguous: Ambiguous = RepeatedMention.error,
    image_root: Annotated[Path | None, typer.Option(help="Reject images outside this folder.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Cache folder for captions and objects.", show_default="~/.cache/tgdi_hf")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 8,
    workers: Workers = 2,
    embed_images: Annotated[bool, typer.Option("--embed-images", help="Embed the images in the output.")] = False,
    vision_model: Annotated[
        str | None, typer.Option(help="Also store the features of this frozen vision encoder.", show_default="none")
    ] = None,
    vision_revision: Revision = None,
    image_resize: ImageResize = None,
    object_resize: ObjectResize = None,
    object_features: ReadObjects = None,
    cache_dir: CacheDir = None,
    local_files_only: LocalFilesOnly = False,
    features_dtype: FeaturesDtype = "float16",
    bf16: BF16 = False,
) -> None:
    """Add captions and objects to your own posts; each distinct image is processed once, even after an interruption.

    Image paths are relative to the folder of the data. Existing captions and objects are kept.

    Example: tgdi prepare posts.jsonl prepared --captioner Salesforce/blip-image-captioning-base

    On several GPUs: accelerate launch -m tgdi_hf.cli.main prepare posts.jsonl prepared --bf16
    """
    import torch

    from ..data.loading import read_table
    from ..extras import require
    from ..preparation.image_captioner import ImageCaptioner
    from ..preparation.object_grounder import ObjectGrounder
    from ..preparation.output_folder import REPORT
    from ..preparation.prepare import prepare as prepare_posts
    from ..preparation.processes import process_state
    from ..preparation.vision_features import compute_encoder_features

    _check_revision("captioner", captioner, captioner_revision)
    _check_revision("grounder", grounder, grounder_revision)
    _check_revision("vision-model", vision_model, vision_revision)
    options = image_options(image_resize, object_resize, object_features)
    if options and vision_model is None:
        raise typer.BadParameter(
            "--image-resize, --object-resize and --object-features require --vision-model: posts are stored with their "
            "whole images.",
            param_hint=f"--{next(iter(options)).replace('_', '-')}",
        )
    if spacy is not None:
        require("spacy", "spacy", "--spacy")
    state, dtype = process_state(), torch.bfloat16 if bf16 else torch.float32
    hub: dict[str, Any] = {"cache_dir": cache_dir, "local_files_only": local_files_only}
    loading: dict[str, Any] = {"dtype": dtype, "device": state.device, "hub": hub}
    nlp = None
    if spacy is not None:
        import spacy as spacy_library

        nlp = spacy_library.load(spacy)
    done = prepare_posts(
        read_table(data, objects=objects),
        output,
        None
        if captioner == "none"
        else ImageCaptioner.from_pretrained(captioner, revision=captioner_revision, prompt=prompt, **loading),
        None
        if grounder == "none"
        else ObjectGrounder.from_pretrained(grounder, revision=grounder_revision, threshold=threshold, **loading),
        cache=cache,
        image_folder=data if data.is_dir() else data.parent,
        image_root=image_root,
        nlp=nlp,
        batch_size=batch_size,
        num_workers=workers,
        embed_images=embed_images,
        ambiguous=ambiguous.value,
    )
    if not state.is_main_process:
        return
    typer.echo(done.summary())
    if done.faults:
        typer.echo(f"  all of these posts: {output / REPORT}")
    next_step = f"tgdi train {output} RUN"
    if vision_model is not None:
        features = output / "vision_features"
        compute_encoder_features(
            vision_model, done.dataset, features, features_dtype, revision=vision_revision, **options, **hub
        )
        next_step += f" --vision-model {vision_model} --vision-features {features}"
        next_step += f" --vision-revision {vision_revision}" if vision_revision else ""
        next_step += "".join(f" --{name.replace('_', '-')} {value}" for name, value in options.items())
    columns = [name for rows in done.dataset.values() for name in rows.column_names]
    advice = _advice_without_labels(columns) or f"to train on them: {next_step}"
    typer.echo(f"Wrote the prepared posts to {output}; {advice}")


def _advice_without_labels(columns: Sequence[str]) -> str:
    """That posts with these columns cannot be trained on; empty if they can."""
    from ..data.labels import LABEL_COLUMNS, misspelt_labels

    if set(columns) & set(LABEL_COLUMNS):
        return ""
    return f"they have no column `label` or `relation`, which training requires.{misspelt_labels(columns)}"


def _check_revision(option: str, model: str | None, revision: str | None) -> None:
    """Refuses a revision without a model, and one of a folder, which has none."""
    if revision is None:
        return
    name = f"--{option.removesuffix('-model')}-revision"
    if model is None or model == "none":
        raise typer.BadParameter(f"{name} requires --{option}.", param_hint=name)
    if Path(model).is_dir():
        raise typer.BadParameter(f"--{option} {model} is a folder; a folder has no revisions.", param_hint=name)

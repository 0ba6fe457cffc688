import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import typer
from datasets import load_from_disk
from PIL import Image
from transformers import BertModel, ViTModel
from typer.testing import CliRunner

from tgdi_hf import TGDIForRelationExtraction, __version__
from tgdi_hf.cli.arguments import check_posts_argument
from tgdi_hf.cli.main import app, main
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_text_config, tiny_tokenizer, tiny_vision_config
from tgdi_hf.inference.bulk_prediction import predict_file
from tgdi_hf.inference.prediction_printing import print_predictions
from tgdi_hf.serving.app import Limits

from ..preparation.tiny_checkpoints import blip2, grounding_dino


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


@pytest.fixture
def backbones(corpus, tmp_path):
    """Two pretrained encoders in folders, as they come from the Hub."""
    tokenizer = tiny_tokenizer(corpus["train"]["text"])
    tokenizer.save_pretrained(tmp_path / "text")
    BertModel(tiny_text_config(tokenizer)).save_pretrained(tmp_path / "text")
    tiny_image_processor().save_pretrained(tmp_path / "vision")
    ViTModel(tiny_vision_config()).save_pretrained(tmp_path / "vision")
    return tmp_path


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "triples", "prepare", "demo"])
def test_help_has_an_example(command):
    assert f"tgdi {command}" in run(command, "--help")


def test_train_evaluate_and_predict_from_the_command_line(corpus, backbones, tmp_path):
    corpus.save_to_disk(tmp_path / "data")
    output = run(
        "train", tmp_path / "data", tmp_path / "run", "--text-model", backbones / "text", "--vision-model",
        backbones / "vision", "--epochs", 1, "--learning-rate", "1e-3", "--set", "toi_num_layers=1", "--set",
        "use_matching_gate=false", "--image-resize", "squash", "--object-features", "regions",
    )  # fmt: skip
    assert "validation, 32 rows:\naccuracy " in output and "f1 " in output
    config = TGDIForRelationExtraction.from_pretrained(tmp_path / "run").config
    assert (config.toi_num_layers, config.use_matching_gate, config.object_features) == (1, False, "regions")
    options = json.loads((tmp_path / "run" / "processor_config.json").read_text())
    assert (options["image_resize"], options["object_resize"]) == ("squash", "squash")
    assert options["object_features"] == "regions"

    output = run(
        "evaluate", tmp_path / "run", tmp_path / "data", "--split", "test", "--output", tmp_path / "scores.json"
    )
    assert "accuracy" in output
    assert "eval_f1 /per/per/couple" in json.loads((tmp_path / "scores.json").read_text())

    with open(tmp_path / "posts.jsonl", "w") as posts:
        for row in corpus["test"].select(range(5)):
            row["image"] and row["image"].save(tmp_path / f"{row['id']}.png")
            post = {key: row[key] for key in ("text", "head", "tail", "caption", "objects")}
            posts.write(json.dumps({**post, "image": f"{row['id']}.png" if row["image"] else None}) + "\n")
    run("predict", tmp_path / "run", tmp_path / "posts.jsonl", tmp_path / "relations.jsonl", "--top-k", 2)
    relations = [json.loads(line) for line in (tmp_path / "relations.jsonl").read_text().splitlines()]
    assert len(relations) == 5
    assert all(len(relation["relations"]) == 2 for relation in relations)


def test_from_a_folder_of_posts_to_a_trained_model(corpus, backbones, tmp_path):
    """Users' own posts and images, captioned and grounded by models of the real classes."""
    blip2(tmp_path / "blip2")
    grounding_dino(tmp_path / "dino")
    data = tmp_path / "mine"
    data.mkdir()
    for split, count in (("train", 24), ("validation", 8)):
        with open(data / f"{split}.jsonl", "w") as posts:
            for row in corpus[split].select(range(count)):
                row["image"] and row["image"].save(data / f"{row['id']}.png")
                post = {name: row[name] for name in ("id", "text", "head", "tail")}
                relation = corpus[split].features["label"].int2str(row["label"])
                image = f"{row['id']}.png" if row["image"] else None
                posts.write(json.dumps({**post, "image": image, "relation": relation}) + "\n")
    output = run(
        "prepare", data, tmp_path / "prepared", "--captioner", tmp_path / "blip2", "--grounder", tmp_path / "dino",
        "--threshold", "0.0", "--cache", tmp_path / "cache", "--vision-model", backbones / "vision", "--features-dtype",
        "float32", "--image-resize", "squash", "--object-resize", "crop",
        "--object-features", "regions",
    )  # fmt: skip
    assert "32 posts" in output
    options = "--image-resize squash --object-resize crop --object-features regions"
    assert f"{tmp_path / 'prepared' / 'vision_features'} {options}" in output
    row = next(row for row in load_from_disk(tmp_path / "prepared" / "dataset")["train"] if row["image"])
    assert row["caption"]
    assert 1 <= len(row["objects"]) <= 3
    output = run(
        "train", tmp_path / "prepared", tmp_path / "run", "--text-model", backbones / "text", "--vision-model",
        backbones / "vision", "--epochs", 1, "--vision-features", tmp_path / "prepared" / "vision_features",
        "--features-dtype", "float32", "--object-features", "regions",
    )  # fmt: skip
    model = TGDIForRelationExtraction.from_pretrained(tmp_path / "run")
    assert model.config.id2label[0] == "None"
    assert set(model.config.id2label.values()) <= set(corpus["train"].features["label"].names)
    assert "f1 " in run("evaluate", tmp_path / "run", tmp_path / "prepared")


@pytest.mark.parametrize("option", ["--image-resize", "--object-resize"])
def test_resizing_belongs_to_vision_features(tmp_path, option):
    arguments = ["prepare", str(tmp_path), str(tmp_path / "prepared"), option, "squash"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "require --vision-model" in " ".join(re.findall(r"[\w-]+", result.output))
    result = CliRunner().invoke(app, [*arguments[:-1], "fit", "--vision-model", "vision"])
    assert result.exit_code == 2
    assert "crop squash" in " ".join(re.findall(r"[\w-]+", result.output))


def test_errors_name_the_valid_values(checkpoint, corpus, tmp_path):
    corpus.save_to_disk(tmp_path / "data")
    result = CliRunner().invoke(app, ["evaluate", str(checkpoint), str(tmp_path / "data"), "--split", "dev"])
    assert result.exit_code == 2
    assert "train, validation, test" in result.output.replace("\n", " ")
    result = CliRunner().invoke(app, ["train", str(tmp_path / "data"), str(tmp_path / "run"), "--set", "toi"])
    assert result.exit_code == 2
    assert "name=value" in result.output
    result = CliRunner().invoke(
        app, ["evaluate", str(checkpoint), str(tmp_path / "data"), "--objects", "published", "--no-strict"]
    )
    assert "apply to MNRE folders" in str(result.exception)


def test_invalid_input_is_a_message_and_leaves_no_partial_file(checkpoint, tmp_path, monkeypatch, capsys):
    post = {"text": "Ann meets Bob", "head": [0, 3], "tail": [10, 13]}
    posts, output = tmp_path / "posts.jsonl", tmp_path / "relations.jsonl"
    posts.write_text("\n".join(json.dumps(p) for p in [post] * 3 + [{**post, "tail": [10, 99]}]))
    command = ["tgdi", "predict", str(checkpoint), str(posts), str(output), "--batch-size", "2", "--strict"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    message = capsys.readouterr().err
    assert f"Error: {posts}, line 4: the span of `tail`, [10, 99), lies outside the text" in message
    assert "Traceback" not in message
    assert not output.exists()
    monkeypatch.setenv("TGDI_DEBUG", "1")
    with pytest.raises(ValueError, match="line 4"):
        main()
    printed = run(*command[1:-1])
    assert "Wrote 3 posts to" in printed and "1 of 4 posts is invalid" in printed
    assert len(output.read_text().splitlines()) == 3
    assert json.loads((tmp_path / "relations.jsonl.errors.jsonl").read_text())["field"] == "tail"
    assert not [*tmp_path.glob("*.part")]
    posts.write_text("{}\n{}")
    result = CliRunner().invoke(app, command[1:-1])
    assert result.exit_code == 1 and "2 of 2 posts are invalid" in result.output


@pytest.mark.parametrize(("option", "message"), [
    (("--set", "fusion_lambda=3"), "`fusion_lambda` is 3; expected the weight of f_3 in Eq. 14, from 0 to 1"),
    (("--report-to", "tensorboard"), r"pip install 'tgdi_hf[tensorboard]'"),
])  # fmt: skip
def test_invalid_options_are_a_message(corpus, backbones, tmp_path, monkeypatch, capsys, option, message):
    corpus.save_to_disk(tmp_path / "data")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    command = ["tgdi", "train", str(tmp_path / "data"), str(tmp_path / "run"), *option]
    monkeypatch.setattr(
        sys, "argv", [*command, "--text-model", f"{backbones}/text", "--vision-model", f"{backbones}/vision"]
    )
    with pytest.raises(SystemExit):
        main()
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_push_writes_the_files_for_the_hub(checkpoint, tmp_path):
    scores = {f"eval_{name}": 0.5 for name in ("accuracy", "precision", "recall", "f1")}
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    run(
        "push", checkpoint, "me/tiny", "--to", tmp_path / "upload", "--results", tmp_path / "scores.json", "--seed", 4,
        "--handler", "--dataset-id", "user/mnre",
    )  # fmt: skip
    assert "value: 0.5\n" in (tmp_path / "upload" / ".eval_results" / "user--mnre.yaml").read_text()
    card = (tmp_path / "upload" / "README.md").read_text()
    assert "| 50.0 | 50.0 | 50.0 | 50.0 |" in card and "seed 4" in card and "under the control" not in card
    assert "## Training" not in card
    (checkpoint / "run.json").write_text(json.dumps({"control": "no-image", "share": 0.5, "learning_rate": 0.001}))
    run("push", checkpoint, "me/tiny", "--to", tmp_path / "control", "--notes", "Of May.")
    card = (tmp_path / "control" / "README.md").read_text()
    assert "| `learning_rate` | 0.001 |" in card
    assert "Trained under the control no-image, on 50 % of the rows that it can change" in card and "Of May." in card
    assert (tmp_path / "upload" / "handler.py").is_file()


def test_triples_from_the_command_line(checkpoint, tmp_path):
    post = {"id": 3, "text": "Ann meets Bob in Rome", "entities": ["Ann", "Bob", "Rome"]}
    (tmp_path / "posts.jsonl").write_text(json.dumps(post) + "\n{\n")
    output = run("triples", checkpoint, tmp_path / "posts.jsonl", tmp_path / "triples.csv", "--pairs", "-50")
    assert "skipped: " in output and "line 2: expected a JSON object" in output
    assert "Wrote 3 triples to" in output
    assert len((tmp_path / "triples.csv").read_text().splitlines()) == 4


POST = {"id": 7, "text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}


def invoke(*arguments, **options):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def test_version_and_help():
    assert run("--version") == f"tgdi_hf {__version__}\n"
    assert "predict" in run("help") and "tgdi prepare" in run("help", "prepare")
    assert run("help", "predict").split() == run("predict", "--help").split()
    wrong = invoke("help", "predikt")
    assert wrong.exit_code == 2 and "Unknown command 'predikt'" in wrong.output


def test_python_m_tgdi_hf_runs_the_command():
    done = subprocess.run([sys.executable, "-m", "tgdi_hf", "--version"], capture_output=True, text=True)
    assert done.stdout == f"tgdi_hf {__version__}\n", done.stderr


@pytest.mark.parametrize("arguments", [("-", "-"), ("-",), ()])
@pytest.mark.parametrize("text", [json.dumps(POST), json.dumps([POST]), json.dumps(POST, indent=1)])
def test_posts_from_standard_input(checkpoint, text, arguments):
    result = invoke("predict", checkpoint, *arguments, input=text)
    assert result.exit_code == 0, result.output
    (found,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (found["id"], found["row"], found["head"]["text"]) == (7, 0, "Ann")


def test_posts_from_standard_input_are_written_to_files(checkpoint, tmp_path):
    lines = json.dumps(POST) + "\n{\n"
    result = invoke("predict", checkpoint, "-", tmp_path / "out.jsonl", input=lines)
    assert result.exit_code == 0 and "Wrote 1 post to" in result.output and "1 of 2 posts is invalid" in result.output
    assert "standard input, line 2" in (tmp_path / "out.jsonl.errors.jsonl").read_text()
    result = invoke("triples", checkpoint, "-", tmp_path / "out.csv", input=lines)
    assert result.exit_code == 0 and (tmp_path / "out.csv").read_text().startswith("id,head,relation")
    (tmp_path / "posts.jsonl").write_text(json.dumps(POST))
    printed = invoke("predict", checkpoint, tmp_path / "posts.jsonl")
    assert json.loads(printed.stdout)["id"] == 7


def test_images_of_standard_input_are_relative_to_the_working_directory(checkpoint, tmp_path, monkeypatch, image):
    monkeypatch.chdir(tmp_path)
    image.save("a.png")
    result = invoke("predict", checkpoint, input=json.dumps({**POST, "image": "a.png"}))
    assert json.loads(result.stdout)["gate"] is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-", "out.jsonl", "--resume"), "--resume cannot be used with POSTS '-'"),
        (("-", "-", "--resume"), "--resume and --errors cannot be used with OUTPUT '-'"),
        (("-", "-", "--errors", "e.jsonl"), "--resume and --errors cannot be used with OUTPUT '-'"),
        (("nothing.jsonl", "out.jsonl"), "nothing.jsonl: no such file or folder"),
    ],
)
def test_contradictory_arguments_are_refused_before_a_model_is_loaded(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = invoke("predict", "no-model", *arguments, input="")
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert [*tmp_path.iterdir()] == []


def test_a_terminal_as_input_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(typer.BadParameter, match="pass posts on standard input: tgdi predict CHECKPOINT < posts"):
        check_posts_argument(Path("-"))


def test_streams_are_not_resumed(pipe, tmp_path):
    with pytest.raises(ValueError, match="reads the standard input cannot be resumed"):
        predict_file(pipe, "-", tmp_path / "out.jsonl", resume=True)


@pytest.mark.parametrize("command", ["predict", "triples"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./missing", "./missing: no such folder; expected a fine-tuned model"),
        ("missing", "missing: no such folder, and no model of that name could be loaded from the Hub"),
        ("runs/missing", "runs/missing: no such folder, and no model of that name"),
        ("runs/missing/more", "runs/missing/more: no such folder; expected"),
        ("posts.jsonl", "posts.jsonl is a file; expected the folder"),
        ("empty", "empty has no config.json; expected the folder of a fine-tuned model"),
        ("run", "The newest checkpoint in it is run/checkpoint-9."),
    ],
)
def test_a_missing_model_is_a_message(tmp_path, monkeypatch, capsys, command, name, message):
    monkeypatch.chdir(tmp_path)
    Path("posts.jsonl").write_text(json.dumps(POST))
    Path("empty").mkdir()
    Path("run/checkpoint-9").mkdir(parents=True)
    Path("run/checkpoint-9/config.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", ["tgdi", command, name, "posts.jsonl", "out.csv"])
    with pytest.raises(SystemExit) as stopped:
        main()
    error = capsys.readouterr().err
    assert stopped.value.code == 1 and f"Error: {message}" in error if name != "run" else message in error
    assert "Traceback" not in error and len(error) < 700
    assert not Path("out.csv").exists()


@pytest.mark.slow  # starts processes
def test_a_misspelled_key_is_reported_once_per_command(checkpoint, tmp_path):
    (tmp_path / "posts.jsonl").write_text("\n".join([json.dumps({**POST, "images": "a.png"})] * 5))
    command = [sys.executable, "-m", "tgdi_hf", "predict", str(checkpoint), str(tmp_path / "posts.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 5
    assert done.stderr.count("the key 'images' is ignored; did you mean `image`?") == 1


@pytest.mark.parametrize("command", ["predict", "triples", "prepare"])
def test_ambiguous_is_checked_first(command, tmp_path):
    result = CliRunner().invoke(app, [command, *["nothing"] * (2 if command == "prepare" else 3), "--ambiguous", "any"])
    assert result.exit_code == 2
    assert all(choice in result.output for choice in ("error", "first", "all"))


def test_ambiguous_from_the_command_line(checkpoint, tmp_path):
    post = {"id": 1, "text": "Ann meets Bob, Ann leaves", "head": "Ann", "tail": "Bob"}
    (tmp_path / "posts.jsonl").write_text(json.dumps(post) + "\n")
    result = CliRunner().invoke(
        app, ["predict", str(checkpoint), str(tmp_path / "posts.jsonl"), str(tmp_path / "a.jsonl")]
    )
    assert result.exit_code == 1 and "1 of 1 post is invalid" in result.output
    assert "--ambiguous" in (tmp_path / "a.jsonl.errors.jsonl").read_text()
    run("predict", checkpoint, tmp_path / "posts.jsonl", tmp_path / "b.jsonl", "--ambiguous", "first")
    assert json.loads((tmp_path / "b.jsonl").read_text())["head"] == {"text": "Ann", "start": 0, "end": 3}
    run("predict", checkpoint, tmp_path / "posts.jsonl", tmp_path / "c.jsonl", "--ambiguous", "all")
    assert len(json.loads((tmp_path / "c.jsonl").read_text())["pairs"]) == 2
    printed = run(
        "prepare", tmp_path / "posts.jsonl", tmp_path / "out", "--captioner", "none", "--grounder", "none",
        "--cache", tmp_path / "cache", "--ambiguous", "all",
    )  # fmt: skip
    assert "1 posts, 0 distinct images" in printed and "train: 2 posts" in printed


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "me/model", "posts.jsonl", "out.jsonl"),
        ("triples", "me/model", "posts.jsonl", "out.csv"),
        ("explain", "me/model", "why.png", "--text", "Ann meets Bob", "--head", "Ann", "--tail", "Bob"),
        ("app", "me/model"),
        ("evaluate", "me/model", "data"),
    ],
    ids=lambda command: command[0],
)
def test_a_revision_of_the_model_reaches_the_hub(command, corpus, tmp_path, monkeypatch):
    def asked(*arguments, revision=None, **options):
        raise ValueError(f"asked for revision {revision}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("transformers.pipeline", asked)
    monkeypatch.setattr("tgdi_hf.TGDIConfig.get_config_dict", asked)
    (tmp_path / "posts.jsonl").write_text(json.dumps(POST))
    corpus.save_to_disk("data")
    result = invoke(*command, "--revision", "v1")
    assert result.exit_code == 1 and "asked for revision v1" in str(result.exception)


EXPLAIN = ("--text", "Ann meets Bob", "--head", "Ann", "--tail", "Bob")


def test_explain_shows_image_and_objects(pipe_with_objects, image, tmp_path):
    pytest.importorskip("matplotlib")
    pipe_with_objects.save_pretrained(tmp_path / "run")
    image.save(tmp_path / "post.png")
    parts = ("--image", tmp_path / "post.png", "--object", "[0, 0, 30, 20]", "--object", tmp_path / "post.png")
    output = run("explain", tmp_path / "run", tmp_path / "why.png", *EXPLAIN, *parts, "--word", "meets")
    assert output.strip().endswith(f"; figure in {tmp_path / 'why.png'}")
    width, height = Image.open(tmp_path / "why.png").size
    assert (width, height) == (150 * 3 * 5, 150 * 3.1 * 4)  # three images with four heat maps each, and the scores


def test_explain_says_that_there_is_no_image(checkpoint, tmp_path):
    pytest.importorskip("matplotlib")
    output = run("explain", checkpoint, tmp_path / "why.png", *EXPLAIN)
    assert output.strip().endswith("why.png. The post has no image, so there are no heat maps.")
    result = invoke("explain", checkpoint, tmp_path / "why.png", *EXPLAIN, "--word", "meets")
    assert "'meets' cannot be looked for: The post has no image" in str(result.exception)
    result = invoke("explain", checkpoint, tmp_path / "why.png", *EXPLAIN, "--object", "[0, 0,")
    assert result.exit_code == 2 and "expected a box" in result.stderr.lower()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "latin-1"])
def test_printed_predictions_are_json_in_every_encoding(monkeypatch, tmp_path, pipe, encoding):
    """As under LC_ALL=C, or in a Windows console."""
    post = {"text": "Zoë met Łukasz 🎉", "head": "Zoë", "tail": "Łukasz"}
    posts = tmp_path / "posts.jsonl"
    posts.write_text(json.dumps(post) + "\n" + json.dumps({**post, "head": "🎉🎉"}), encoding="utf-8")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    print_predictions(pipe, posts, strict=False)
    for stream in (out, err):
        stream.flush()
    assert json.loads(out.buffer.getvalue().decode(encoding))["tail"]["text"] == "Łukasz"
    assert "🎉🎉" in json.loads(err.buffer.getvalue().decode(encoding))["error"]


def test_serve_from_the_command_line(checkpoint, monkeypatch):
    served = []
    monkeypatch.setattr("tgdi_hf.serving.server.run_app", lambda *arguments: served.append(arguments))
    monkeypatch.setenv("TGDI_MAX_POSTS", "8")
    monkeypatch.setenv("TGDI_MAX_BODY_BYTES", "123456")
    options = ("--max-batch", 4, "--max-wait-ms", 2.5, "--max-queue", 32, "--timeout", 7, "--device", "cpu")
    run("serve", checkpoint, "--port", 0, *options, "--negative", "None", "--bf16", "--access-log")
    ((served_app, opened, access_log),) = served
    service = served_app.state.service
    assert service.limits == Limits(4, 2.5, 32, 123456, 7)
    assert (service.name, service.handler.max_posts, access_log) == (str(checkpoint), 8, True)
    pipe = service.handler.pipe
    assert (pipe.device.type, pipe.model.dtype) == ("cpu", torch.bfloat16)
    assert pipe._settings({})["negative_label"] == "None"
    assert opened.fileno() == -1  # closed

"""Slow layers of CLIP and BERT for one post without padding, from a model's weights: loops over heads and tokens."""

from math import sqrt

import torch

from ...modeling.conftest import tiny_inputs


def one_post():
    """A post of nine tokens with two images and an empty slot between them."""
    inputs = {name: value[:1] for name, value in tiny_inputs().items() if not name.startswith("enhanced")}
    inputs["image_mask"] = torch.tensor([[1, 0, 1]])
    return inputs


def attend(queries, keys, values, heads):
    """From queries `(q, d)` and keys and values `(k, d)` to `(q, d)`."""
    size = queries.shape[1] // heads
    context = torch.zeros_like(queries)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i, query in enumerate(queries[:, part]):
            scores = torch.stack([query @ key / sqrt(size) for key in keys[:, part]]).exp()
            context[i, part] = sum(score * value for score, value in zip(scores / scores.sum(), values[:, part]))
    return context


def clip_tokens(tower, image):
    """The input of the first layer, `(n, d_v)`."""
    return tower.pre_layrnorm(tower.embeddings(image[None]))[0]


def clip_keys(layer, tokens):
    normalised = layer.layer_norm1(tokens)
    return layer.self_attn.k_proj(normalised), layer.self_attn.v_proj(normalised)


def clip_layer(layer, tokens, text_keys, text_values, heads):
    keys, values = clip_keys(layer, tokens)
    queries = layer.self_attn.q_proj(layer.layer_norm1(tokens))
    context = attend(queries, torch.cat([text_keys, keys]), torch.cat([text_values, values]), heads)
    tokens = tokens + layer.self_attn.out_proj(context)
    return tokens + layer.mlp.fc2(layer.mlp.activation_fn(layer.mlp.fc1(layer.layer_norm2(tokens))))


def bert_keys(layer, text):
    return layer.attention.self.key(text), layer.attention.self.value(text)


def bert_context(layer, text, image_keys, image_values, heads):
    """What a layer attends to in images and text, before its output projection."""
    keys, values = bert_keys(layer, text)
    queries = layer.attention.self.query(text)
    return attend(queries, torch.cat([image_keys, keys]), torch.cat([image_values, values]), heads)


def bert_rest(layer, text, context, fused=0.0):
    """The layer after its attention; `fused` is added to the hidden units of the feed-forward network."""
    attended = layer.attention.output.LayerNorm(layer.attention.output.dense(context) + text)
    hidden = torch.nn.functional.gelu(layer.intermediate.dense(attended) + fused)
    return layer.output.LayerNorm(layer.output.dense(hidden) + attended)

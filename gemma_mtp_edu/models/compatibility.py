"""Whether a target and a drafter fit, asked of their configurations before anything runs."""

from typing import Any

from transformers import PreTrainedConfig

from gemma_mtp_edu.lessons.language import tr

KV_TYPES = ("full_attention", "sliding_attention")
ASSISTANT_TYPES = ("gemma4_assistant", "gemma4_unified_assistant")


class IncompatiblePairError(ValueError):
    """Target and drafter do not fit together."""


def is_mtp_drafter(config: PreTrainedConfig) -> bool:
    """Return whether a configuration is that of a Gemma 4 MTP drafter."""
    return config.model_type in ASSISTANT_TYPES


def check_models(target: Any, drafter: Any) -> None:
    """Raise unless both are loaded models.

    Raises:
        IncompatiblePairError: One is a name, a folder, a configuration, or nothing.
    """
    for name, model in (("target", target), ("drafter", drafter)):
        if isinstance(model, type) or not (callable(model) and hasattr(model, "config")):
            raise IncompatiblePairError(
                tr(
                    "got a {kind} as {name}, need a loaded model: load_pair() loads both, "
                    "from_pretrained() of its class one",
                    kind=type(model).__name__,
                    name=name,
                )
            )


def check_pair(target: PreTrainedConfig, drafter: PreTrainedConfig) -> None:
    """Raise unless `drafter` can draft for `target`.

    Raises:
        IncompatiblePairError: It names what was got, what is needed and what to do.
    """
    if is_mtp_drafter(target):
        raise IncompatiblePairError(
            tr(
                "the target is a {kind}, which is a drafter: it cannot write alone; pass the full "
                "model as target and this one as drafter",
                kind=target.model_type,
            )
        )
    check_vocabulary(target, drafter)
    _check_window("target", target)
    _check_window("drafter", drafter)
    if is_mtp_drafter(drafter):
        _check_hidden_size(target, drafter)
        _check_shared_kv(target, drafter)
        _check_centroids(drafter)


def check_vocabulary(target: PreTrainedConfig, drafter: PreTrainedConfig) -> None:
    """Raise unless both models speak the same number of tokens."""
    wanted, got = (
        getattr(config.get_text_config(), "vocab_size", None) for config in (target, drafter)
    )
    if wanted is None or got is None:
        kind = (target if wanted is None else drafter).model_type
        raise IncompatiblePairError(
            tr(
                "got a {kind}, which has no vocabulary, need two language models: a Gemma 4 target "
                "and its drafter",
                kind=kind,
            )
        )
    if got != wanted:
        raise IncompatiblePairError(
            tr(
                "drafter vocabulary {got} != target vocabulary {wanted}: a pair must share one "
                "tokenizer; take the drafter that was made for this target (its id is the target's "
                "id + '-assistant')",
                got=got,
                wanted=wanted,
            )
        )


def kv_layers(target: PreTrainedConfig) -> dict[str, int]:
    """Return, per attention type, the target layer whose keys and values are handed to the drafter.

    It is the last layer of that type that makes KV of its own (transformers 5.22.2,
    `Gemma4TextAttention.store_full_length_kv`).
    """
    text = target.get_text_config()
    shared = getattr(text, "num_kv_shared_layers", 0)
    own = text.layer_types[: text.num_hidden_layers - shared]
    return {kind: len(own) - 1 - own[::-1].index(kind) for kind in KV_TYPES if kind in own}


def _check_hidden_size(target: PreTrainedConfig, drafter: PreTrainedConfig) -> None:
    wanted = target.get_text_config().hidden_size
    got = drafter.backbone_hidden_size
    if got != wanted:
        raise IncompatiblePairError(
            tr(
                "drafter backbone_hidden_size {got} != target hidden_size {wanted}: this drafter "
                "was made for another target; take the drafter whose id is the target's id + "
                "'-assistant'",
                got=got,
                wanted=wanted,
            )
        )


def _check_shared_kv(target: PreTrainedConfig, drafter: PreTrainedConfig) -> None:
    """The drafter attends to the target's keys and values, so heads must have the same size."""
    text, heads = target.get_text_config(), drafter.get_text_config()
    producers = kv_layers(target) if getattr(text, "layer_types", None) else {}
    for kind in KV_TYPES:
        if kind not in producers:
            raise IncompatiblePairError(
                tr(
                    "the target ({target}) has no {kind} layer with KV of its own, which an MTP "
                    "drafter reads: use a Gemma 4 target",
                    target=target.model_type,
                    kind=kind,
                )
            )
        if kind not in heads.layer_types:
            continue
        given = text.per_layer_config[producers[kind]]
        wanted = heads.per_layer_config[heads.layer_types.index(kind)]
        for name in ("head_dim", "num_key_value_heads"):
            got, needed = getattr(given, name), getattr(wanted, name)
            if got != needed:
                raise IncompatiblePairError(
                    tr(
                        "{kind}: the target's shared KV has {name} {got}, the drafter needs "
                        "{needed}: take the drafter that was made for this target",
                        kind=kind,
                        name=name,
                        got=got,
                        needed=needed,
                    )
                )


def _check_window(name: str, config: PreTrainedConfig) -> None:
    """A window of no token would silently make another model of it."""
    text = config.get_text_config()
    if "sliding_attention" not in (getattr(text, "layer_types", None) or ()):
        return
    window = getattr(text, "sliding_window", None)
    if window is None or window < 1:
        raise IncompatiblePairError(
            tr(
                "{name} sliding_window {window}: its sliding_attention layers need at least 1 "
                "token; take its config.json as it was published",
                name=name,
                window=window,
            )
        )


def _check_centroids(drafter: PreTrainedConfig) -> None:
    if not drafter.use_ordered_embeddings:
        return
    vocab, centroids = drafter.get_text_config().vocab_size, drafter.num_centroids
    searched = drafter.centroid_intermediate_top_k
    if not 1 <= searched <= centroids:
        raise IncompatiblePairError(
            tr(
                "drafter centroid_intermediate_top_k {searched} and num_centroids {centroids}: "
                "need at least one centroid, and 1 to all of them searched; take the drafter's "
                "config.json as it was published",
                searched=searched,
                centroids=centroids,
            )
        )
    if vocab % centroids:
        raise IncompatiblePairError(
            tr(
                "drafter vocabulary {vocab} does not divide by num_centroids {centroids}: the "
                "centroid head needs clusters of one size; take a divisor of the vocabulary",
                vocab=vocab,
                centroids=centroids,
            )
        )


def check_token_ordering(drafter: Any) -> None:
    """Raise where the centroid head was never filled in: it could only draft token 0."""
    head = getattr(drafter, "masked_embedding", None)
    if head is None or head.token_ordering.is_meta:
        return
    ordering = head.token_ordering
    distinct = ordering.unique().numel()
    if distinct != ordering.numel():
        raise IncompatiblePairError(
            tr(
                "the drafter's token_ordering holds {distinct} different tokens of {all}: a "
                "drafter with fresh weights has none; load trained weights, or fill "
                "drafter.masked_embedding.token_ordering with a permutation of all token ids",
                distinct=distinct,
                all=ordering.numel(),
            )
        )

"""Families of Hugging Face models (`model_type` in config.json) that cannot be backbones, and why.

`docs/howto/backbones.md` lists all families that were tried; a test tries each with a tiny random model.
"""

from collections.abc import Mapping

from optical_sweeps.errors import UserError

_PADDING = "the vectors of a text depend on the padding of its batch"
_PAGE = "it reads the positions of words on a page"
_TWO_MODELS = "its config describes two models"
REFUSED: Mapping[str, str] = {
    "bros": _PAGE,
    "canine": _PADDING,
    "convbert": _PADDING,
    "encoder-decoder": _TWO_MODELS,
    "esm": "it reads proteins",
    "esmc": "it reads proteins",
    "fnet": _PADDING,
    "fsmt": "its encoder cannot be used without its decoder",
    "funnel": _PADDING,
    "ibert": "its embeddings cannot be extended by tokens",
    "mra": "its attention needs CUDA kernels that are compiled when it runs",
    "neomme": "it reads images",
    "nllb-moe": "the vectors of a text depend on the other texts of its batch",
    "nystromformer": _PADDING,
    "perceiver": "it has no vector for each token",
    "reformer": "its attention hashes tokens at random",
    "seamless_m4t": "it reads sound",
    "seamless_m4t_v2": "it reads sound",
    "t5gemma": _TWO_MODELS,
    "t5gemma2": _TWO_MODELS,
    "xmod": "it must be told the language of each text",
    "yoso": _PADDING,
}
"""Families that are refused, and the reasons."""
ENCODER_HALVES = frozenset(
    {
        "bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "led", "longt5", "m2m_100", "marian",
        "mbart", "mt5", "mvp", "pegasus", "pegasus_x", "plbart", "prophetnet", "switch_transformers", "t5",
        "umt5",
    }
)  # fmt: skip
"""Families whose encoder half is the backbone; PyLate cannot load it."""
OTHER_INPUTS = {"vision_config": "images", "audio_config": "sound", "encoder_config": "sound"}
"""Sections of a config that describe the encoder of another input than text."""


def refusal(config: Mapping[str, object]) -> str | None:
    """Why a model with this config.json cannot be a backbone; None if nothing is known against it."""
    family = str(config.get("model_type"))
    if reason := REFUSED.get(family):
        return f"{reason} (family {family})"
    for section, content in OTHER_INPUTS.items():
        if section in config:
            return f"it reads {content} (family {family})"
    if "text_config" in config:
        return f"its text model is a part of another model (family {family})"
    return None


def check_family(key: str, name: str, config: Mapping[str, object]) -> None:
    """Refuse a model of a family that cannot be a backbone, from its config.json alone.

    Args:
        key: the config key that names the model.

    Raises:
        UserError: the family is refused; the message states the reason.
    """
    if (reason := refusal(config)) is not None:
        raise UserError(f"{key}: {name} cannot be a backbone: {reason}; see docs/howto/backbones.md")

"""What requests hold. The fields and their bounds are the OpenAPI schema too."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_LAST_SEED = 2**63 - 1
_Text = Annotated[str, Field(min_length=1)]
_Token = Annotated[int, Field(ge=0)]
_Tokens = Annotated[list[_Token], Field(min_length=1)]
Texts = _Text | Annotated[list[_Text], Field(min_length=1, max_length=64)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str | None = Field(None, description="One of /v1/models.")


class StreamOptions(BaseModel):
    """How a stream ends."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    include_usage: bool = Field(False, description="A last event counts the tokens.")


class CompletionBody(_Body):
    """POST /v1/completions."""

    prompt: str | list[str] | _Tokens | list[_Tokens] | None = Field(
        None, description="A text, its tokens, or several of either. None: the start of a line."
    )
    max_tokens: int | None = Field(16, ge=0, description="Tokens to write at most.")
    temperature: float | None = Field(1.0, ge=0, le=100, description="0 is greedy.")
    top_p: float | None = Field(
        1.0, gt=0, le=1, description="Draw from the likeliest that hold this probability."
    )
    top_k: int | None = Field(None, ge=1, description="Draw from the k likeliest only.")
    n: int | None = Field(1, ge=1, le=128, description="Texts for each prompt.")
    stop: Texts | None = Field(None, description="The text ends before one of these.")
    logprobs: int | None = Field(
        None, ge=0, le=20, description="Log-probabilities, and those of so many likeliest tokens."
    )
    seed: int | None = Field(None, ge=0, le=_LAST_SEED, description="Of what is drawn.")
    echo: bool | None = Field(False, description="The prompt comes before the text.")
    stream: bool | None = Field(False, description="Events as the text is written.")
    stream_options: StreamOptions | None = None
    session: str | None = Field(
        None, min_length=1, max_length=128,
        description="Go on from where the last request of this name stopped; new names begin.",
    )  # fmt: skip
    user: str | None = Field(None, description="Taken, and used for nothing.")


class TextBody(_Body):
    """POST of a task whose inputs are texts."""

    input: Texts = Field(description="A text, or several.")
    pretokenized: bool = Field(False, description="Tagging: words stand between blanks.")


class FileBody(_Body):
    """POST of a task whose inputs are files. The same without JSON: POST ?format=wav with the file
    as the body, Content-Type: application/octet-stream."""

    input: _Text = Field(description="The file in base64; a table as its text.")
    is_base64: bool = Field(False, description="A table is in base64 too.")
    format: str = Field(description="wav, flac, png, csv, ...: how the file's name would end.")


def schemas() -> dict[str, Any]:
    """The components of the OpenAPI document."""
    found: dict[str, Any] = {}
    for body in (CompletionBody, TextBody, FileBody):
        schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[body.__name__] = schema
    return found

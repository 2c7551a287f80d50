"""The environment as one frozen, typed object. Every problem is reported at once; secrets never show in a repr."""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hmt_pass.errors import SettingsError
from hmt_pass.queues import RABBIT_SCHEMES
from hmt_pass.signing import TimestampUnit

MARGIN_S = 5.0  # what a job takes beside its calls of endpoint and S3
REDIS_SCHEMES = ("redis://", "rediss://")
MOST_PORTS = 65535


class Send(StrEnum):
    """How the photo reaches the endpoint: as a multipart file, as a presigned URL, or in the form as base64."""

    FILE = "file"
    URL = "url"
    BASE64 = "base64"


class LogFormat(StrEnum):
    """One JSON object a line, or lines for a person."""

    JSON = "json"
    CONSOLE = "console"


def _redis_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(REDIS_SCHEMES):
        raise ValueError("must be redis://... or rediss://...")
    _host(url.get_secret_value())
    return url


def _broker_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith((*REDIS_SCHEMES, *RABBIT_SCHEMES)):
        raise ValueError("must be redis://..., rediss://..., amqp://... or amqps://...")
    _host(url.get_secret_value())
    return url


def _http_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    _host(url)
    if urlsplit(url).query or urlsplit(url).fragment:
        raise ValueError("must be the base alone, without ? and #")
    return url.rstrip("/")


def _host(url: str) -> None:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    if not named:
        raise ValueError("must name a host, and a port only as a number")


def _filled(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("must not be empty")
    return secret


def _filled_or_none(url: object) -> object:
    return url or None


def _numbers(text: object) -> object:
    """What stands between the commas."""
    return [part.strip() for part in text.split(",")] if isinstance(text, str) else text


def _ports(text: object) -> object:
    """9540, or 9540-9547, as a tuple of numbers."""
    if not text or not isinstance(text, str):
        return text or ()
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < first <= last <= MOST_PORTS:
        raise ValueError("must be a port such as 9540, or a range such as 9540-9547")
    return tuple(range(first, last + 1))


RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
OptionalBrokerUrl = Annotated[BrokerUrl | None, BeforeValidator(_filled_or_none)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Secret = Annotated[SecretStr, AfterValidator(_filled)]
Ports = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_ports)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


OptionalMoney = Annotated[Annotated[Decimal, Field(gt=0, allow_inf_nan=False)] | None, BeforeValidator(_filled_or_none)]
DelaysS = Annotated[tuple[Seconds, ...], NoDecode, BeforeValidator(_numbers), Field(min_length=1)]


class BrokerSettings(BaseSettings):
    """What reaches the broker: all that Flower has to know. Raises like Settings."""

    model_config = SettingsConfigDict(env_prefix="HMT_PASS_", frozen=True, extra="ignore")

    redis_url: Annotated[RedisUrl, Field(validation_alias="REDIS_URL")] = SecretStr("redis://localhost:6379/0")
    broker_url: Annotated[OptionalBrokerUrl, Field(validation_alias="BROKER_URL")] = None
    concurrency: Annotated[int, Field(ge=1, le=512)] = 32
    visibility_timeout_s: Annotated[float, Field(ge=2, le=3600, allow_inf_nan=False)] = 60.0
    log_format: LogFormat = LogFormat.JSON

    @classmethod
    def load(cls) -> Self:
        """The settings of this process's environment. Raises SettingsError with one line a problem."""
        try:
            return cls()
        except ValidationError as error:
            lines = [_problem(item["loc"], item["msg"]) for item in error.errors()]
        raise SettingsError("the environment needs attention:\n" + "\n".join(lines))

    @property
    def broker(self) -> str:
        """The broker's URL with its password; the same Redis unless told otherwise."""
        return (self.broker_url or self.redis_url).get_secret_value()

    @property
    def redis(self) -> str:
        """The URL of the Redis for job states, with its password."""
        return self.redis_url.get_secret_value()


class Settings(BrokerSettings):
    """Everything a worker can be told. `api_id` is read from `HMT_PASS_API_ID`, and so on; .env.example explains."""

    api_id: Annotated[str, Field(min_length=1)]
    api_secret: Secret
    endpoint_url: HttpUrl = "https://cloudapi.linkface.cn"
    timestamp_unit: TimestampUnit = TimestampUnit.MILLISECONDS
    send: Send = Send.FILE

    rate_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 500.0
    max_in_flight: Annotated[int, Field(ge=1)] = 1000
    canary_after_s: DelaysS = (60.0, 180.0, 300.0, 900.0, 3600.0)
    hold_after_failures: Annotated[int, Field(ge=1)] = 10

    price_per_call: OptionalMoney = None
    budget_day: OptionalMoney = None
    budget_month: OptionalMoney = None
    billing_utc_offset_h: Annotated[float, Field(ge=-12, le=14)] = 8.0

    results_bucket: str | None = None
    results_prefix: str = "hmt-pass/"
    archive_bucket: Annotated[str | None, BeforeValidator(_filled_or_none)] = None
    archive_prefix: str = "hmt-pass-archive/"

    connect_timeout_s: Seconds = 3.05
    read_timeout_s: Seconds = 15.0
    total_timeout_s: Seconds = 30.0
    storage_timeout_s: Seconds = 10.0

    max_attempts: Annotated[int, Field(ge=1)] = 8
    max_possibly_charged: Annotated[int, Field(ge=1)] = 2
    retry_base_s: Seconds = 2.0
    retry_cap_s: Seconds = 60.0
    max_age_s: Seconds = 6 * 3600.0

    dedupe_window_s: Annotated[int, Field(ge=0)] = 24 * 3600
    result_ttl_s: Annotated[int, Field(ge=1)] = 24 * 3600
    status_ttl_s: Annotated[int, Field(ge=1)] = 7 * 24 * 3600
    dead_letter_ttl_s: Annotated[int, Field(ge=0)] = 90 * 24 * 3600

    metrics_host: str = "127.0.0.1"
    metrics_ports: Ports = ()

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        if self.total_timeout_s < self.connect_timeout_s:
            raise ValueError("HMT_PASS_TOTAL_TIMEOUT_S must not be below HMT_PASS_CONNECT_TIMEOUT_S")
        return self

    @model_validator(mode="after")
    def _budgets_have_a_price(self) -> Self:
        if (self.budget_day or self.budget_month) and not self.price_per_call:
            raise ValueError("HMT_PASS_BUDGET_DAY and HMT_PASS_BUDGET_MONTH need HMT_PASS_PRICE_PER_CALL")
        return self

    @property
    def archive(self) -> str | None:
        """The bucket of the archive; None when neither it nor one for the results is named."""
        return self.archive_bucket or self.results_bucket or None

    @property
    def deadline_s(self) -> float:
        """The longest a job may run without progress: one call, S3 get and put, and a margin."""
        return self.total_timeout_s + 4 * (self.storage_timeout_s + 3.0) + MARGIN_S


def _problem(location: tuple[int | str, ...], message: str) -> str:
    """One line with the variable's name as it stands in the environment."""
    text = message.removeprefix("Value error, ")
    if not location:
        return f"- {text}"
    name = str(location[0])
    variable = name if name.isupper() else f"HMT_PASS_{name.removeprefix('HMT_PASS_').upper()}"
    return f"- {variable}: {text}"

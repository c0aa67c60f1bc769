"""Settings of the Python side, from the environment and a `.env` file. The server reads the same names."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, PrivateAttr, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lycosa.errors import Invalid

Port = Annotated[int, Field(ge=1, le=65535)]


def _words(value: object) -> object:
    """What stands between commas."""
    return (
        tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value
    )


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words), Field(max_length=100)]
# Whoever can check a signature of these cannot make one.
Asymmetric = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
Algorithms = Annotated[tuple[Asymmetric, ...], NoDecode, BeforeValidator(_words), Field(min_length=1)]


def _named(name: str) -> AliasChoices:
    """A variable that other programs also know, with or without our prefix."""
    return AliasChoices(f"LYCOSA_{name}", name)


class Settings(BaseSettings):
    """Every setting with its default. An empty variable is an absent one.

    Raises pydantic's ValidationError, which names the variable, when a value is out of bounds.
    """

    model_config = SettingsConfigDict(
        env_prefix="LYCOSA_", env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    data: Path = Field(default=Path("var"), description="Directory of the store's files.")
    tarantool_host: str = Field(
        default="127.0.0.1",
        validation_alias=_named("TARANTOOL_HOST"),
        description="Host, or the absolute path of a unix socket.",
    )
    tarantool_port: Port = Field(default=3301, validation_alias=_named("TARANTOOL_PORT"))
    tarantool_user: str = Field(default="lycosa", validation_alias=_named("TARANTOOL_USER"))
    password: SecretStr | None = Field(
        default=None, description="Of the application user; when absent, read from <data>/password."
    )
    memory_mb: int = Field(default=256, ge=32, le=1_048_576, description="Memory of the store, MiB.")
    wal_mode: Literal["write", "fsync"] = Field(
        default="write", description="write survives a kill, fsync a power cut."
    )
    retention_days: int = Field(default=0, ge=0, le=36_500, description="Days requests are kept; 0 for ever.")
    cache_budget_mb: int | None = Field(
        default=None,
        ge=8,
        le=786_432,
        description="What the cache may hold, MiB; a quarter of the memory unless set.",
    )
    cache_share_percent: int = Field(
        default=50, ge=1, le=100, description="Percent of it beyond which a tenant's own entries go first."
    )
    cache_volatile: str = Field(
        default="", description="Namespaces of keys, between commas, that a restart forgets."
    )
    cache_redis_url: SecretStr | None = Field(
        default=None, description="A Redis behind the cache: redis://, rediss:// or unix://; none unless set."
    )
    request_cold_days: int = Field(
        default=0, ge=0, le=36_500, description="Days after which requests move to disk; 0 never."
    )
    http_host: str = Field(default="127.0.0.1", description="Address REST listens on.")
    http_port: Port = Field(default=8000)
    authentication: Literal["off", "required"] = Field(
        default="off", description="required: whoever asks over HTTP shows an API key or a token."
    )
    allowed_hosts: Words = Field(
        default=(),
        description="Names besides loopback's by which HTTP is asked, between commas; *.name for all below.",
    )
    allowed_origins: Words = Field(
        default=(), description="Origins besides its own whose web pages may ask, between commas."
    )
    jwt_issuer: str | None = Field(default=None, max_length=512, description="Of tokens: their `iss`.")
    jwt_audience: str | None = Field(default=None, max_length=512, description="Of tokens: in their `aud`.")
    jwt_jwks_url: str | None = Field(default=None, description="Where the issuer shows its keys.")
    jwt_key_file: Path | None = Field(
        default=None, description="Or its public keys in a file: PEM, or a JWK set."
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="Or a secret shared with it, of 32 bytes at least: HS256 alone."
    )
    jwt_algorithms: Algorithms = Field(
        default=("RS256", "ES256", "EdDSA"), description="Accepted of tokens, between commas."
    )
    jwt_leeway: float = Field(default=30.0, ge=0, le=300, description="Seconds that clocks may be apart.")
    jwt_tenant_claim: str = Field(default="tenant", min_length=1, max_length=128)
    jwt_scope_claim: str = Field(default="scope", min_length=1, max_length=128)
    tenant: str = Field(default="default", min_length=1, max_length=128)
    call_timeout: float = Field(default=5.0, gt=0, le=600, description="Deadline of one call, seconds.")
    llm: str = Field(
        default="auto",
        description="auto, offline, extractive, or <provider>:<model> of init_chat_model; after commas who stands in.",
    )
    analysis_ttl: float = Field(
        default=86_400.0, gt=0, le=31_536_000, description="Seconds a report stays cached."
    )
    analysis_budget: int = Field(
        default=4_000,
        ge=300,
        le=200_000,
        description="Tokens that the sources of an analysis may take of a prompt.",
    )
    analysis_quota: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Quota of which every analysis asked over HTTP or MCP takes one unit.",
    )
    search_timeout: float = Field(
        default=20.0, gt=0, le=590, description="Deadline of a search outside, seconds."
    )
    search_ttl: float = Field(
        default=86_400.0,
        ge=1,
        le=31_536_000,
        description="Seconds what was found stays fresh; news an hour at most.",
    )
    search_stale_for: float = Field(
        default=604_800.0,
        ge=0,
        le=31_536_000,
        description="Seconds more in which it is served while it is renewed, or nobody can be asked.",
    )
    session_write_least: float = Field(
        default=0.05,
        ge=0,
        le=10,
        description="Seconds chat messages wait to be written together, where few come.",
    )
    session_write_most: float = Field(
        default=0.65,
        ge=0,
        le=10,
        description="The same where a thousand a second come: what a kill may cost.",
    )
    mcp_rate_per_minute: int = Field(
        default=600,
        ge=0,
        le=1_000_000,
        description="MCP calls of each caller over HTTP in a minute of the clock; 0 for any number.",
    )
    mcp_answer_bytes: int = Field(
        default=262_144, ge=1_024, le=4_194_304, description="The largest answer of an MCP tool or resource."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    testing: bool = False
    tavily_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=_named("TAVILY_API_KEY"),
        description="One key, or several between commas.",
    )
    perplexity_api_key: SecretStr | None = Field(default=None, validation_alias=_named("PERPLEXITY_API_KEY"))
    tavily_base_url: str = Field(default="https://api.tavily.com", validation_alias=_named("TAVILY_BASE_URL"))
    perplexity_base_url: str = Field(
        default="https://api.perplexity.ai", validation_alias=_named("PERPLEXITY_BASE_URL")
    )
    tavily_rate_per_minute: int = Field(default=100, ge=1, le=1_000_000, description="Requests of each key.")
    tavily_monthly_credits: int = Field(default=1_000, ge=0, le=1_000_000_000, description="Of each key.")
    tavily_credit_usd: Decimal = Field(default=Decimal("0.008"), ge=0, le=1, description="Price of a credit.")
    perplexity_rate_per_minute: int = Field(
        default=3_000, ge=1, le=1_000_000, description="Searches of each key."
    )
    perplexity_agent_rate_per_minute: int = Field(
        default=60, ge=1, le=1_000_000, description="Agent's answers of each key."
    )
    perplexity_monthly_usd: Decimal = Field(
        default=Decimal(5), ge=0, le=1_000_000, description="Dollars that each key may spend in a month."
    )
    perplexity_search_usd: Decimal = Field(
        default=Decimal("0.005"), ge=0, le=1, description="Price of a search."
    )
    perplexity_preset: Literal["fast", "low", "medium", "high", "xhigh", "wide-research"] = Field(
        default="low", description="How the agent answers when depth is asked for."
    )
    openai_api_key: SecretStr | None = Field(default=None, validation_alias=_named("OPENAI_API_KEY"))
    openai_base_url: str | None = Field(default=None, validation_alias=_named("OPENAI_BASE_URL"))

    # Where the tenant is not that of the environment.
    _account: str | None = PrivateAttr(default=None)

    @field_validator("tenant")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("holds control characters")
        return value

    @field_validator("jwt_jwks_url")
    @classmethod
    def _trusted_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        on_this_machine = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not parts.hostname or not (
            parts.scheme == "https" or (parts.scheme == "http" and on_this_machine)
        ):
            raise ValueError("is not https://..., nor http:// on this machine")
        return value

    @field_validator("tavily_base_url", "perplexity_base_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        # Reading the port checks it, too.
        plain = parts.port != 0 and not (parts.query or parts.fragment or "@" in parts.netloc)
        if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
            raise ValueError("is not http(s)://host[:port][/path]")
        return value

    def on_account_of(self, tenant: str) -> "Settings":
        """These settings, with keys of providers that are another tenant's."""
        copied = self.model_copy()
        copied._account = tenant
        return copied

    @property
    def account(self) -> str:
        """The tenant whose quotas and breakers the keys of providers have, whoever asks.

        LYCOSA_TENANT in every process that has the keys, also for a command on behalf of another tenant: otherwise
        one key would have several budgets.
        """
        return self._account or self.tenant

    @property
    def accepts_tokens(self) -> bool:
        """Whether keys of tokens are named."""
        return any((self.jwt_jwks_url, self.jwt_key_file, self.jwt_secret))

    @property
    def password_file(self) -> Path:
        """Where the server keeps the password it made for itself."""
        return self.data / "password"

    @property
    def console_socket(self) -> Path:
        """The server's admin console, open to the owner of the data directory."""
        return self.data / "console.sock"

    def store_password(self) -> str:
        """The application user's password.

        Raises Invalid when it is neither set nor written by a server.
        """
        if self.password is not None:
            return self.password.get_secret_value()
        try:
            return self.password_file.read_text(encoding="ascii").strip()
        except OSError as problem:
            raise Invalid(
                f"no password for the store: set LYCOSA_PASSWORD, or LYCOSA_DATA to the data directory of a running "
                f"server ({self.password_file}: {problem.strerror})",
                code="PASSWORD_MISSING",
                details={"argument": "password"},
            ) from problem

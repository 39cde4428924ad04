"""Who may come: tokens, the secrets that sign, tenants, types, origins and proxies."""

from __future__ import annotations

from typing import Annotated

from pydantic import SecretStr
from pydantic_settings import NoDecode

from hub.settings.names import COMMAS, DURATION, Theme, setting

DEVELOPMENT_SECRET = "development-secret-never-for-production"  # noqa: S105  (refused in production)
DEVELOPMENT_KEY = "hub_development_key_never_for_production"
MIN_SECRET_BYTES = 32


class Access(Theme):
    jwt_secret: SecretStr | None = setting(
        None, "HS256 secret, at least 32 bytes; unset: a fixed one in development"
    )
    jwt_algorithms: Annotated[list[str], NoDecode, COMMAS] = setting(
        ["HS256"], "algorithms that are accepted (one family per key)"
    )
    jwt_jwks: str | None = setting(None, "file or https URL of a JWKS, for RS256, ES256 or EdDSA")
    jwt_expires_in: Annotated[int, DURATION] = setting(
        "7d", "life of the tokens that `hub token` makes: seconds, or 15m, 12h, 7d"
    )
    jwt_audience: str | None = setting(None, "required `aud`, when set")
    jwt_issuer: str | None = setting(None, "required `iss`, when set")
    unsubscribe_key: SecretStr | None = setting(
        None,
        "signs links to unsubscribe (32 bytes or more); unset: made from JWT_SECRET; with neither: no links",
    )
    token_cookie: str = setting("access_token", "name of the cookie that may hold the token")
    token_in_query: bool = setting(True, "whether `?token=` is read")
    auto_tenants: bool | None = setting(
        None, "create a tenant when it is first named; unset: only in development"
    )
    custom_types: bool = setting(True, "accept event types that the registry does not know")
    types_file: str | None = setting(
        None, "a TOML file of event types, over those that come with the hub; unset: only those"
    )
    types_per_tenant: int = setting(200, "types of which a tenant may have rules of its own", ge=0)
    cors_origin: Annotated[list[str], NoDecode, COMMAS] = setting(
        [],
        "origins that browsers may call from, separated by commas; unset: localhost in development",
    )
    trusted_proxies: Annotated[list[str], NoDecode, COMMAS] = setting(
        [], "addresses or networks whose X-Forwarded-For and -Proto are believed"
    )

    # -- what follows from them ----------------------------------------------------------------------
    @property
    def secret(self) -> str:
        """The HS256 secret in force."""
        return self.jwt_secret.get_secret_value() if self.jwt_secret else DEVELOPMENT_SECRET

    @property
    def link_secret(self) -> str | None:
        """What signs links to unsubscribe. None: nothing that an outsider could not know."""
        if self.unsubscribe_key is not None:
            return self.unsubscribe_key.get_secret_value()
        weak = self.secret == DEVELOPMENT_SECRET or len(self.secret.encode()) < MIN_SECRET_BYTES
        return None if weak and not self.development else self.secret

    @property
    def creates_tenants(self) -> bool:
        return self.development if self.auto_tenants is None else self.auto_tenants

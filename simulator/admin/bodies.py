"""What operators may ask for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Base: nothing but what is known."""

    model_config = ConfigDict(extra="forbid")


class WhichAccount(Body):
    """One account of a platform."""

    platform: str
    account: str

"""What addresses of pages may ask for."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: As the names of facilities, cameras and values of metadata are.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


class PageQuery(BaseModel):
    """Fields of a search form that were left empty count as absent."""

    model_config = ConfigDict(extra="forbid")

    facility: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        return {name: value for name, value in values.items() if value != ""} if isinstance(values, dict) else values

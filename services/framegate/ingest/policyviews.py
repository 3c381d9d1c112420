"""What the API is told and answers about policies. As in `schemas`: models describe, functions build."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from framegate.ingest.parameters import Name
from framegate.ingest.schemas import View
from framegate.kernel.policies import Change, PolicyCheck, PolicyFault, PolicySource, PolicyTrial
from framegate.ports.notices import moment
from framegate.ports.store import PolicyVersion

#: Of a body with a policy.
MOST_POLICY_BYTES: Final = 128 * 1024
MOST_SIMULATED: Final = 5000
#: More than anybody reads at once.
MOST_FAULTS: Final = 100


class PolicyText(BaseModel):
    """A policy, in one of two forms."""

    model_config = ConfigDict(extra="forbid")

    document: dict[str, Any] | None = Field(None, description="The policy.")
    yaml: str | None = Field(None, description="Instead: the policy as YAML; faults then have a line.")
    facility: Name | None = Field(None, description="Needed only with a key of several facilities.")

    @model_validator(mode="after")
    def _one_of_them(self) -> "PolicyText":
        if (self.document is None) == (self.yaml is None):
            raise ValueError("send `document` or `yaml`, one of the two")
        return self

    @property
    def source(self) -> PolicySource:
        """What was sent."""
        return self.document if self.document is not None else self.yaml or ""


class NewPolicy(PolicyText):
    """A policy that is to hold."""

    expected: int = Field(
        ge=0, le=2**31 - 1, description="The version that it was made from; 0 where there is none yet."
    )
    force: StrictBool = Field(False, description="Also when everything would go to people.")


class Trial(PolicyText):
    """A policy to try, and on what."""

    since: str = Field("7d", max_length=8, description="Images accepted since then: 12h, 7d; up to 365d.")
    limit: int = Field(MOST_SIMULATED, ge=1, le=MOST_SIMULATED, description="At most so many images, the newest.")


class ChangeView(View):
    """What is different in one entry."""

    entry: str = Field(examples=["classes.hole.review"])
    before: str = Field(description="As JSON; empty where it was not there.", examples=["0.3"])
    after: str = Field(description="As JSON; empty where it is gone.", examples=["0.1"])


class PolicyView(View):
    """One version of a facility's policy; it never changes."""

    facility: str
    version: int
    document: dict[str, Any]
    yaml: str = Field(description="The same, to be read and changed by people.")
    created_at: datetime
    created_by: str


class PolicyHistoryItem(View):
    """One version, and what it changed."""

    version: int
    created_at: datetime
    created_by: str
    changes: list[ChangeView] = Field(description="Against the version before.")


class PolicyHistory(View):
    """Newest first."""

    items: list[PolicyHistoryItem]


class PolicyFaultView(View):
    """What is wrong with one entry, and what to do."""

    path: str = Field(description="Empty: the policy as a whole.", examples=["classes.hole.fail"])
    detail: str
    line: int | None = Field(description="Of the YAML, from 1.")
    column: int | None


class PolicyCheckView(View):
    """What came of looking at a policy."""

    valid: bool = Field(description="Whether it can be applied.")
    base: int | None = Field(description="The version that holds, which it was compared with.")
    faults: list[PolicyFaultView] = Field(description="The first 100.")
    changes: list[ChangeView] = Field(description="Against `base`; empty where the policy cannot be read.")
    notes: list[str] = Field(description="What is not wrong, but may not be meant.")
    everything: str | None = Field(description="Why people would have to look at everything; then it needs `force`.")


class FlipView(View):
    """Images that would end otherwise than they did."""

    was: str = Field(examples=["pass"])
    would_be: str = Field(examples=["review"])
    images: int


class ChangedImageView(View):
    """One of them."""

    image: UUID
    was: str
    would_be: str


class PolicyTrialView(View):
    """What a policy would have decided. Ends are verdicts, or states where there is none."""

    base: int | None = Field(description="The version that holds.")
    images: int = Field(description="How many were decided again.")
    oldest_s: float = Field(description="How long ago the oldest of them was received.")
    decided: dict[str, int] = Field(description="How they ended.")
    would_be: dict[str, int] = Field(description="How they would end.")
    flips: list[FlipView] = Field(description="The most frequent first.")
    changed: list[ChangedImageView] = Field(description="The newest 50.")
    left_out: dict[str, int] = Field(description="Images that cannot be decided again, by the reason.")
    cut: bool = Field(description="There may be more images: `limit`, or the time for it, was reached.")


def policy_document(version: PolicyVersion, text: str) -> dict[str, Any]:
    """As `PolicyView`."""
    return {
        "facility": version.facility,
        "version": version.version,
        "document": dict(version.document),
        "yaml": text,
        "created_at": moment(version.created_at),
        "created_by": version.created_by,
    }


def history_item(version: PolicyVersion, changed: Sequence[Change]) -> dict[str, Any]:
    """As `PolicyHistoryItem`."""
    return {
        "version": version.version,
        "created_at": moment(version.created_at),
        "created_by": version.created_by,
        "changes": _changes(changed),
    }


def check_document(check: PolicyCheck) -> dict[str, Any]:
    """As `PolicyCheckView`."""
    return {
        "valid": not check.faults,
        "base": check.base,
        "faults": [_fault(fault) for fault in check.faults[:MOST_FAULTS]],
        "changes": _changes(check.changes),
        "notes": list(check.notes),
        "everything": check.everything,
    }


def trial_document(trial: PolicyTrial) -> dict[str, Any]:
    """As `PolicyTrialView`."""
    flips = sorted(trial.flips.items(), key=lambda one: -one[1])
    return {
        "base": trial.base,
        "images": trial.images,
        "oldest_s": round(trial.oldest_s, 1),
        "decided": dict(trial.decided),
        "would_be": dict(trial.ends),
        "flips": [{"was": was, "would_be": now, "images": count} for (was, now), count in flips],
        "changed": [{"image": image, "was": was, "would_be": now} for image, was, now in trial.changed],
        "left_out": dict(trial.left_out),
        "cut": trial.cut,
    }


def _changes(changed: Sequence[Change]) -> list[dict[str, str]]:
    return [{"entry": one.entry, "before": one.before, "after": one.after} for one in changed]


def _fault(fault: PolicyFault) -> dict[str, Any]:
    return {"path": fault.path, "detail": fault.detail, "line": fault.line, "column": fault.column}

"""Who hears of incidents."""

import json as jsonlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from framegate.bootstrap import Stores, open_hooks, signing_secrets
from framegate.cli.common import (
    ByOption,
    DataOption,
    JsonOption,
    LimitOption,
    add_row,
    check_name,
    console,
    login,
    out,
    short_id,
    table_of,
)
from framegate.cli.stores import stores_of
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.hooksecrets import BOTH_FOR
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.kernel.incidents import Change
from framegate.ports.deliveries import DeliveryRecord, Subscription
from framegate.ports.hooks import Ending, Endpoint, Hook, HookKind, HookRefused
from framegate.ports.notices import trial
from framegate.settings import Settings

hooks = typer.Typer(help="Receivers that are told of incidents: webhooks, Slack, Amazon SNS.", no_args_is_help=True)

HookArgument = Annotated[str, typer.Argument(metavar="HOOK", help="Its id, or the end of it: framegate hooks list")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(hooks, name="hooks")


@hooks.command("add")
def hooksadd_row(
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="https://..., or the ARN of a topic (arn:aws:sns:...)")
    ],
    kind: Annotated[HookKind | None, typer.Option("--kind", help="Default: what the URL looks like")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--change", help="Repeatable, like incident.opened. Default: all")
    ] = None,
    only_critical: Annotated[bool, typer.Option("--only-critical", help="Not of warnings")] = False,
    facility: Annotated[str, typer.Option("--facility", help="Whose incidents")] = DEFAULT_FACILITY,
    by: ByOption = None,
    data: DataOption = None,
) -> None:
    """Adds a receiver and prints the secret that its messages are signed with, alone, on standard output.

    The secret begins with whsec_; give it to the receiver, which verifies with it (docs/hooks.md, Standard Webhooks). A Slack
    URL and a topic have none. On-premises receivers and plain http must be opened with FRAMEGATE_HOOKS__ALLOW first.
    """
    settings = Settings.read(data=data)
    found = kind or _kind_of(url)
    check_name(facility)
    unknown = sorted(set(change or ()) - set(Change))
    if unknown:
        raise ConfigurationError(f"there is no change {unknown[0]!r}; there are: {', '.join(Change)}")
    with _hooks(settings) as senders:
        _check(senders, found, url)
    new = Subscription.new(
        FacilityId(facility),
        found,
        url,
        datetime.now(UTC),
        by or login(),
        changes=change or (),
        min_severity="critical" if only_critical else "warning",
    )
    with stores_of(settings) as stores:
        stores.endpoints.add_endpoint(new, new.created_by)
    console.print(f"Added {new.kind} {new.endpoint_id}. Try it: framegate hooks test {new.endpoint_id}", soft_wrap=True)
    if new.kind is HookKind.WEBHOOK:
        print(_secret(settings, new))


@hooks.command("list")
def hooks_list(json: JsonOption = False, data: DataOption = None) -> None:
    """Shows all receivers, without their secrets."""
    with stores_of(Settings.read(data=data)) as stores:
        found = stores.endpoints.endpoints()
    if json:
        print(jsonlib.dumps([_facts(endpoint) for endpoint in found], indent=2))
        return
    table = table_of("hook", "facility", "kind", "target", "hears of", "state", "last success")
    for endpoint in found:
        last = f"{endpoint.last_success_at:%m-%d %H:%M}" if endpoint.last_success_at else "never"
        hears = ", ".join(sorted(endpoint.changes)) or "every change"
        hears += " (critical)" if endpoint.min_severity == "critical" else ""
        add_row(
            table,
            short_id(endpoint.endpoint_id),
            endpoint.facility,
            endpoint.kind,
            endpoint.shown_target,
            hears,
            _state(endpoint),
            last,
        )
    out.print(table if found else "There are no receivers yet: 'framegate hooks add --url https://...' adds one.")


@hooks.command("test")
def hooks_test(hook: HookArgument, by: ByOption = None, data: DataOption = None) -> None:
    """Sends a message that nothing has happened, at once, and says what the receiver answered; exits 1 unless 2xx."""
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        to = _hook(stores, hook)
    now = datetime.now(UTC)
    secrets = signing_secrets(settings)(to, now) if to.kind is HookKind.WEBHOOK else ()
    with _hooks(settings) as senders:
        sender = _sender(senders, to.kind)
        message = trial(to.facility, now, by or login())
        done = sender.deliver(Endpoint(str(to.endpoint_id), to.kind, to.target, secrets), message)
    console.print(f"{done.reason}: {done.detail} ({done.elapsed_ms:.0f} ms)", soft_wrap=True, markup=False)
    raise typer.Exit(0 if done.ending is Ending.DELIVERED else 1)


@hooks.command("rotate")
def hooks_rotate(hook: HookArgument, by: ByOption = None, data: DataOption = None) -> None:
    """Prints a new secret, alone, on standard output. For 24 hours the one before signs along."""
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        found = _hook(stores, hook)
        if found.kind is not HookKind.WEBHOOK:
            raise ConfigurationError(f"{found.kind} endpoints have no secret of ours to rotate: add a new one instead")
        rotated = stores.endpoints.rotate(found.endpoint_id, by or login())
    if rotated is None or rotated.rotated_at is None:
        raise _gone(hook)
    console.print(f"Both secrets sign until {rotated.rotated_at + BOTH_FOR:%Y-%m-%d %H:%M} UTC.")
    print(_secret(settings, rotated))


@hooks.command("enable")
def hooks_enable(hook: HookArgument, by: ByOption = None, data: DataOption = None) -> None:
    """Lets a receiver that was disabled hear again; what it missed is brought by 'replay --hook'."""
    with stores_of(Settings.read(data=data)) as stores:
        if stores.endpoints.enable(_hook(stores, hook).endpoint_id, by or login()) is None:
            raise _gone(hook)
    console.print(f"Enabled. What it missed: framegate hooks replay --hook {hook}", soft_wrap=True)


@hooks.command("remove")
def hooks_remove(hook: HookArgument, by: ByOption = None, data: DataOption = None) -> None:
    """Removes a receiver, with its log and what was still to be delivered to it."""
    with stores_of(Settings.read(data=data)) as stores:
        if not stores.endpoints.remove(_hook(stores, hook).endpoint_id, by or login()):
            raise _gone(hook)
    console.print("Removed.")


@hooks.command("log")
def hooks_log(hook: HookArgument, limit: LimitOption = 50, json: JsonOption = False, data: DataOption = None) -> None:
    """Shows the attempts to deliver to a receiver: when, what came back, how long it took."""
    with stores_of(Settings.read(data=data)) as stores:
        lines = stores.deliveries.log(_hook(stores, hook).endpoint_id, limit)
    if json:
        print(jsonlib.dumps([asdict(line) for line in lines], default=str, indent=2))
        return
    table = table_of("when (UTC)", "delivery", "attempt", "result", "what the receiver did", "ms")
    for line in lines:
        result = line.result
        add_row(
            table,
            f"{line.at:%m-%d %H:%M:%S}",
            str(line.delivery_id),
            str(line.attempt),
            str(result.reason),
            result.detail,
            f"{result.elapsed_ms:.0f}",
        )
    out.print(table if lines else "Nothing was sent to it yet.")


@hooks.command("dead")
def hooks_dead(limit: LimitOption = 50, json: JsonOption = False, data: DataOption = None) -> None:
    """Shows the messages that were given up, the newest first."""
    with stores_of(Settings.read(data=data)) as stores:
        dead = stores.deliveries.dead(None, limit)
    if json:
        print(jsonlib.dumps([asdict(record) for record in dead], default=str, indent=2))
        return
    out.print(_deliveries(dead) if dead else "No message was given up.")


@hooks.command("replay")
def hooks_replay(
    delivery: Annotated[int | None, typer.Option("--delivery", help="One: framegate hooks dead")] = None,
    hook: Annotated[str | None, typer.Option("--hook", help="Those of this receiver")] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Made then (UTC) or later")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Made before that (UTC)")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them")] = False,
    data: DataOption = None,
) -> None:
    """Sends given-up messages again, with their ids: a receiver that saw one before can tell. All conditions must hold."""
    if every == any(value is not None for value in (delivery, hook, since, until)):
        raise ConfigurationError("say which: --delivery N, --hook HOOK, --since and --until, or --all")
    with stores_of(Settings.read(data=data)) as stores:
        endpoint = _hook(stores, hook) if hook else None
        if endpoint is not None and not endpoint.enabled:
            raise ConfigurationError(f"{endpoint.endpoint_id} is disabled: first framegate hooks enable {hook}")
        count = stores.deliveries.replay(
            None,
            delivery_id=delivery,
            endpoint_id=endpoint.endpoint_id if endpoint else None,
            since=_utc(since),
            until=_utc(until),
        )
    console.print(f"{count} will be sent again.")


def _hook(stores: Stores, text: str) -> Subscription:
    matching = [e for e in stores.endpoints.endpoints() if str(e.endpoint_id).endswith(text.lower())] if text else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ConfigurationError(f"{len(matching)} receivers' ids end with {text}: give more of it")
    raise _gone(text)


def _gone(text: str) -> ConfigurationError:
    return ConfigurationError(f"there is no receiver {text}: 'framegate hooks list' shows them")


def _kind_of(url: str) -> HookKind:
    if url.startswith("arn:"):
        return HookKind.SNS
    return HookKind.SLACK if url.startswith("https://hooks.slack.com/") else HookKind.WEBHOOK


@contextmanager
def _hooks(settings: Settings) -> Iterator[dict[HookKind, Hook]]:
    opened = dict(open_hooks(settings))
    try:
        yield opened
    finally:
        for hook in opened.values():
            hook.close()


def _sender(senders: dict[HookKind, Hook], kind: HookKind) -> Hook:
    if kind not in senders:
        raise ConfigurationError(f"{kind} needs boto3: pip install 'framegate[aws]'")
    return senders[kind]


def _check(senders: dict[HookKind, Hook], kind: HookKind, url: str) -> None:
    try:
        _sender(senders, kind).check(url)
    except HookRefused as refused:
        raise ConfigurationError(f"{refused.slug}: {refused}") from None


def _secret(settings: Settings, endpoint: Subscription) -> str:
    return signing_secrets(settings)(endpoint, datetime.now(UTC))[0]


def _facts(endpoint: Subscription) -> dict[str, object]:
    facts = asdict(endpoint) | {"target": endpoint.shown_target, "changes": sorted(endpoint.changes)}
    return {name: str(value) if isinstance(value, UUID | datetime) else value for name, value in facts.items()}


def _state(endpoint: Subscription) -> str:
    if not endpoint.enabled:
        return f"disabled: {endpoint.reason}"
    if endpoint.failing_since is not None:
        return f"failing since {endpoint.failing_since:%Y-%m-%d %H:%M} ({endpoint.failures} attempts)"
    return "well"


def _deliveries(records: list[DeliveryRecord]) -> Table:
    table = table_of("delivery", "hook", "change", "made (UTC)", "attempts", "why it was given up")
    for record in records:
        add_row(
            table,
            str(record.delivery_id),
            short_id(record.endpoint_id),
            record.type,
            f"{record.created_at:%m-%d %H:%M}",
            str(record.attempts),
            record.reason,
        )
    return table


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment

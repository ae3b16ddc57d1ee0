"""`EMB61x`: what is to be said of a policy itself on the day it is asked: waivers end, records age."""

from collections.abc import Iterator

from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.policy import Policy, RecordedAudit, Waiver, WaiverUse
from embaudit.model.words import plural
from embaudit.rules.registry import rule


@rule("EMB610", Severity.ERROR)
def audit_is_too_old(policy: Policy, recorded: RecordedAudit) -> Iterator[Observation]:
    """What is relied on was audited longer ago than the policy allows, or nothing says when.

    `max-age-days` is about what is recorded, a lock or a report: since then loaders have new releases, and
    embaudit knows more. The last day that counts is as many days after that of the record, in UTC. A date
    that is not readable, or still to come, is no date. An audit that is made anew has no age.
    """
    if policy.max_age_days is None:
        return
    age = recorded.age_days
    if age is not None and age <= policy.max_age_days:
        return
    told = f"was made {plural(age, 'day')} ago" if age is not None else "does not say when it was made"
    yield Observation(
        message=f"The audit {told}, and the policy allows {plural(policy.max_age_days, 'day')}.",
        where=Where(path=recorded.name, field="created"),
        evidence={"created": recorded.created, "age_days": age, "allowed": policy.max_age_days},
        remedy="Audit again, and record that.",
    )


@rule("EMB611", Severity.WARNING)
def waiver_has_expired(use: WaiverUse) -> Iterator[Observation]:
    """A waiver of the policy has expired, and covers nothing any more.

    What it covered is among the findings again, with its own severity. The waiver holds up to the end of its
    last day, in UTC.
    """
    waiver = use.waiver
    if use.expired and waiver.expires is not None:
        again = (
            f"; {plural(use.n_findings, 'finding')} that it covered counts again" if use.n_findings else ""
        )
        yield Observation(
            message=f"The waiver of {waiver.code} ({_reason(waiver)}) ended on {waiver.expires}{again}.",
            where=_where(waiver),
            loader=waiver.loader,
            evidence={"expires": waiver.expires.isoformat(), "n_findings": use.n_findings},
            remedy="Repair what it was for, or give it another date and say why.",
        )


@rule("EMB612", Severity.INFO)
def waiver_covers_nothing(use: WaiverUse) -> Iterator[Observation]:
    """A waiver of the policy covers nothing.

    What it was for is gone, or its pattern fits nothing. It would cover a finding that comes later, which
    nobody has looked at. Not told where its rule was left out or could not be asked: then nothing is known.
    """
    waiver = use.waiver
    if not use.expired and use.asked and not use.n_findings:
        yield Observation(
            message=f"The waiver of {waiver.code} ({_reason(waiver)}) covers nothing here.",
            where=_where(waiver),
            loader=waiver.loader,
            remedy="Take it out of the policy, or correct its pattern.",
        )


def _reason(waiver: Waiver) -> str:
    return waiver.reason.strip().rstrip(".")


def _where(waiver: Waiver) -> Where:
    return Where(path=waiver.path, tensor=waiver.tensor, field=f"waivers: {waiver.code}")

"""Definitions: uploaded all or none, immutable under their version, published, compared, tried out.

upload   texts of flows, forms, queues and messages; a broken one changes nothing at all
publish  lets a version be released (flows) or puts it in force (forms, queues, messages)
diff     two versions as text and as tasks
graph    a version drawn
dry_run  a version, or a text that was never uploaded, on a virtual clock
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from domain.access import Actor, Permission, require_second_person
from domain.calls import Catalog
from domain.catalog import CATALOG
from domain.definitions import (
    SETTLEMENT_KINDS,
    DefinitionDiff,
    DefinitionKind,
    DefinitionVersion,
    diff_flows,
    text_diff,
)
from domain.dsl.definition import Definition, parse_definition
from domain.dsl.dry_run import RunResult, Scenario, TimedEvent, dry_run
from domain.dsl.graph import Graph, Locale, flow_graph
from domain.dsl.lint import LintResources, lint
from domain.dsl.program import Program
from domain.problems import AuthorizationProblem, ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.resources import RESOURCE_KINDS
from domain.settlement.attribution_reading import ATTRIBUTION, ONLY_NAME
from domain.settlement.explanation import explained
from domain.settlement.levels import LAW, LevelLimit
from domain.settlement.scheme_reading import SCHEME, scheme_of
from services.changed_cycles import refuse_split_periods_of
from services.definition_sources import SourceText, UploadedDocument, named_twice, names_in, read_documents
from services.dropped_counts import refuse_dropped_counts
from services.recruited_levels import levels_with_others
from storage.audit import AuditLog
from storage.definitions import Definitions, VersionKey
from storage.engine import Database
from storage.paging import Page, PageRequest
from storage.secrets import Secrets
from storage.unit_of_work import UnitOfWork

MOST_TEXTS = 500
_DRY_RUNS_AT_ONCE = 2
_DRAWINGS_AT_ONCE = 2
_ATTRIBUTION = (ATTRIBUTION, "", ONLY_NAME)
_KINDS: tuple[DefinitionKind, ...] = ("flow", *RESOURCE_KINDS)

Drawing = TypeVar("Drawing")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of one document. `unchanged`: the same text was there already. warnings: as `Finding.as_dict`."""

    file: str
    version: DefinitionVersion
    outcome: Literal["created", "unchanged"]
    warnings: tuple[dict[str, Any], ...] = ()


class DefinitionService:
    """allowed_hosts: where http calls may go, for the linter. four_eyes: whoever wrote a version may not publish it.
    level_limit: how many levels a settlement's scheme may have."""

    def __init__(
        self,
        database: Database,
        *,
        catalog: Catalog = CATALOG,
        allowed_hosts: Collection[str] | None = None,
        four_eyes: bool = False,
        level_limit: LevelLimit = LAW,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._allowed_hosts = allowed_hosts
        self._four_eyes = four_eyes
        self._level_limit = level_limit
        self._dry_runs = asyncio.Semaphore(_DRY_RUNS_AT_ONCE)
        self._drawings = asyncio.Semaphore(_DRAWINGS_AT_ONCE)

    async def check(self, texts: Sequence[SourceText]) -> list[dict[str, Any]]:
        """Every finding about texts, as `Finding.as_dict`, without storing anything."""
        async with UnitOfWork(self._database) as work:
            resources = await self._resources(work, texts)
        return await asyncio.to_thread(_lint_all, texts, resources)

    async def upload(self, actor: Actor, texts: Sequence[SourceText]) -> list[Uploaded]:
        """Store all documents of all texts, or none.

        :raises AuthorizationProblem: one is of a kind that the actor may not write.
        :raises ValidationProblem: one of them is broken; `findings` lists what `Finding.as_dict` gives.
        :raises ConflictProblem: a version exists with another text; `conflicts` lists them.
        """
        _require_draft(actor)
        if not 1 <= len(texts) <= MOST_TEXTS:
            raise ValidationProblem(
                Text(f"一次请上传 1 到 {MOST_TEXTS} 个文件", f"Upload 1 to {MOST_TEXTS} files at once")
            )
        async with UnitOfWork(self._database) as work:
            resources = await self._resources(work, texts)
        findings = await asyncio.to_thread(_lint_all, texts, resources)
        if any(found["severity"] == "error" for found in findings):
            raise _broken(findings)
        documents = read_documents(texts)
        _require_draft(actor, [each.key[0] for each in documents])
        async with UnitOfWork(self._database) as work:
            definitions = Definitions(work)
            await definitions.lock([each.key[:3] for each in documents])
            known = await definitions.known([each.key for each in documents])
            _refuse_other_texts(documents, known)
            new = {each.key: each for each in documents if each.key not in known}
            versions = {key: _version(each, actor.login, work) for key, each in new.items()}
            await definitions.add(list(versions.values()), {each.digest: each.text for each in new.values()})
            for version in versions.values():
                await AuditLog(work).record(
                    actor, "definition.upload", _target(version), {"digest": version.digest, "title": version.title}
                )
        return [
            Uploaded(
                each.file,
                versions.get(each.key) or known[each.key],
                "created" if each.key in versions else "unchanged",
                tuple(found for found in findings if found["file"] == each.file),
            )
            for each in documents
        ]

    async def publish(self, actor: Actor, key: VersionKey) -> DefinitionVersion:
        """Let a flow's version be released, or put a resource's version in force; doing it twice changes nothing.

        :raises AuthorizationProblem: four eyes, a kind that the actor may not publish, or a call in it is reserved for
            other roles.
        :raises NotFoundProblem: there is no such version. :raises ConflictProblem: more levels earn by a sale than the
            settings allow by now, alone or with what is in force; a scheme has another cycle that begins within a
            period of the one before; an attribution drops a way of counting that a scheme counts by.
        """
        if key[0] not in SETTLEMENT_KINDS or not actor.may(Permission.SCHEMES_PUBLISH):
            actor.require(Permission.DEFINITIONS_PUBLISH)
        return await self._put_in_force(actor, key, "publish", second_person=self._four_eyes)

    async def approve(self, actor: Actor, key: VersionKey) -> DefinitionVersion:
        """Publish as the second person, with four eyes or without: what somebody else wrote. Raises as `publish`."""
        actor.require(Permission.DEFINITIONS_APPROVE)
        return await self._put_in_force(actor, key, "approve", second_person=True)

    async def _put_in_force(
        self, actor: Actor, key: VersionKey, action: str, *, second_person: bool
    ) -> DefinitionVersion:
        async with UnitOfWork(self._database) as work:
            definitions = Definitions(work)
            # Schemes and the attribution are held against each other.
            await definitions.lock([key[:3], _ATTRIBUTION] if key[0] in SETTLEMENT_KINDS else [key[:3]])
            version = await _require(definitions, key)
            if version.kind == "flow":
                if version.published_at is not None:
                    return version
                text = await definitions.text(version.digest) or ""
                self._refuse_reserved_calls(actor, parse_definition(text))
            else:
                if version.kind in SETTLEMENT_KINDS:
                    actor.require_everything()
                current = await definitions.in_force(version.kind, version.name)
                if current is not None and current.version == version.version:
                    return version
                if current is not None and version.kind == "scheme":
                    refuse_split_periods_of(current, version)
                if current is not None and version.kind == ATTRIBUTION:
                    refuse_dropped_counts(current, version, await definitions.all_in_force(SCHEME))
            if second_person:
                require_second_person(
                    actor, [version.author], Text(f"发布 {version.label}", f"Publishing {version.label}")
                )
            answer = await self._answer_for_levels(work, version)
            published = await definitions.publish(key, actor.login)
            details = {"digest": version.digest, **answer}
            await AuditLog(work).record(actor, f"definition.{action}", _target(version), details)
        return published

    async def get(self, actor: Actor, key: VersionKey) -> tuple[DefinitionVersion, str]:
        """A version and its text; raises NotFoundProblem."""
        actor.require(Permission.DEFINITIONS_READ)
        async with UnitOfWork(self._database) as work:
            version = await _require(Definitions(work), key)
            return version, await Definitions(work).text(version.digest) or ""

    async def explained(self, actor: Actor, key: VersionKey) -> Sequence[Text]:
        """A version of a scheme in plain words, with a worked example of each component.

        :raises NotFoundProblem: there is no such version. :raises ValidationProblem: it is no scheme.
        """
        version, _ = await self.get(actor, key)
        if version.kind != SCHEME:
            raise ValidationProblem(
                Text(
                    f"只有结算方案（scheme）可以用白话复述，{version.kind} {version.name} 请看原文",
                    f"Only a settlement's scheme is told back in plain words: read the text of {version.kind} "
                    f"{version.name}",
                )
            )
        return explained(scheme_of(version.properties))

    async def history(self, actor: Actor, kind: DefinitionKind, namespace: str, name: str) -> list[DefinitionVersion]:
        """All versions of a definition, the newest first; raises NotFoundProblem when there is none."""
        actor.require(Permission.DEFINITIONS_READ)
        async with UnitOfWork(self._database) as work:
            versions = await Definitions(work).versions(kind, namespace, name)
        if not versions:
            raise _not_found(f"{kind} {namespace}/{name}".replace(" /", " "))
        return versions

    async def search(
        self,
        actor: Actor,
        page: PageRequest,
        *,
        kind: DefinitionKind | None = None,
        namespace: str | None = None,
        name: str | None = None,
        published: bool | None = None,
    ) -> Page[DefinitionVersion]:
        """Versions, the newest upload first."""
        actor.require(Permission.DEFINITIONS_READ)
        async with UnitOfWork(self._database) as work:
            return await Definitions(work).search(page, kind=kind, namespace=namespace, name=name, published=published)

    async def diff(
        self, actor: Actor, kind: DefinitionKind, namespace: str, name: str, before: str, after: str
    ) -> DefinitionDiff:
        """How version `after` differs from version `before`; raises NotFoundProblem."""
        old, old_text = await self.get(actor, (kind, namespace, name, before))
        new, new_text = await self.get(actor, (kind, namespace, name, after))
        text = text_diff(old_text, new_text, old.label, new.label)
        if kind != "flow":
            return DefinitionDiff(text=text)
        return diff_flows(parse_definition(old_text).flow, parse_definition(new_text).flow, text)

    async def graph(self, actor: Actor, key: VersionKey, locale: Locale, render: Callable[[Graph], Drawing]) -> Drawing:
        """What `render` makes of a flow's graph, in a thread of its own; raises NotFoundProblem."""
        _, text = await self.get(actor, key)

        def draw() -> Drawing:
            return render(flow_graph(parse_definition(text), locale=locale, catalog=self._catalog))

        async with self._drawings:
            return await asyncio.to_thread(draw)

    async def dry_run(
        self, actor: Actor, text: str, flow_input: Any, events: Sequence[TimedEvent] = (), subject: str = ""
    ) -> RunResult:
        """Run a definition's text to its end on a virtual clock; calls answer with their examples.

        :raises DefinitionProblem: the text is no valid definition.
        """
        actor.require(Permission.DEFINITIONS_READ)
        definition = parse_definition(text)
        program = Program(definition.flow, definition.data)
        scenario = Scenario(input=flow_input, events=tuple(events), subject=subject)
        async with self._dry_runs:
            return await asyncio.to_thread(dry_run, program, self._catalog, scenario)

    async def _resources(self, work: UnitOfWork, texts: Sequence[SourceText]) -> LintResources:
        """What is published, and what comes with this upload."""
        coming = names_in(texts)
        names = {kind: await Definitions(work).names(kind) | coming.get(kind, set()) for kind in _KINDS}
        return LintResources(
            forms=names["form"],
            queues=names["queue"],
            templates=names["message"],
            flows=names["flow"],
            secrets={each.name for each in await Secrets(work).describe()},
            allowed_hosts=self._allowed_hosts,
            level_limit=self._level_limit,
            catalog=self._catalog,
        )

    async def _answer_for_levels(self, work: UnitOfWork, version: DefinitionVersion) -> dict[str, Any]:
        """Who answers for the levels of a scheme or an attribution, for the audit; the setting may have changed since
        it was uploaded."""
        if version.kind not in SETTLEMENT_KINDS:
            return {}
        levels = int(version.properties.get("levels") or 0)
        if levels > self._level_limit.most:
            refusal = self._level_limit.refusal()
            raise ConflictProblem(
                Text(
                    f"{version.label} 有 {levels} 级：{refusal.zh}",
                    f"{version.label} has {levels} levels. {refusal.en}",
                )
            )
        levels = max(levels, await levels_with_others(work, version, self._level_limit))
        return self._level_limit.answer_for(levels)

    def _refuse_reserved_calls(self, actor: Actor, definition: Definition) -> None:
        for name in sorted(definition.calls_used):
            call = self._catalog.resolve(name)
            if call is not None and call.grants and not call.grants & {role.value for role in actor.roles}:
                roles = ", ".join(sorted(call.grants))
                raise AuthorizationProblem(
                    Text(
                        f"定义使用了 {name}，只有以下角色可以发布：{roles}",
                        f"The definition uses {name}; only these roles may publish it: {roles}",
                    ),
                    call=name,
                )


def _require_draft(actor: Actor, kinds: Collection[DefinitionKind] = ()) -> None:
    """Raises AuthorizationProblem unless the actor may write documents of these kinds; of none: of any kind at all."""
    if not actor.may(Permission.SCHEMES_DRAFT) or not SETTLEMENT_KINDS.issuperset(kinds):
        actor.require(Permission.DEFINITIONS_DRAFT)
    if not SETTLEMENT_KINDS.isdisjoint(kinds):
        actor.require_everything()


def _lint_all(texts: Sequence[SourceText], resources: LintResources) -> list[dict[str, Any]]:
    findings = [
        found.as_dict(each.file)
        for each in texts
        for found in lint(each.text, resources=replace(resources, file_name=each.file.rpartition("/")[2]))
    ]
    return findings + [found.as_dict(file) for file, found in named_twice(texts)]


def _refuse_other_texts(documents: Sequence[UploadedDocument], known: dict[VersionKey, DefinitionVersion]) -> None:
    conflicts = [
        {"file": each.file, "kind": each.key[0], "namespace": each.key[1], "name": each.key[2], "version": each.key[3]}
        for each in documents
        if each.key in known and known[each.key].digest != each.digest
    ]
    if conflicts:
        names = ", ".join(f"{each['name']} {each['version']}" for each in conflicts)
        raise ConflictProblem(
            Text(
                f"以下版本已存在且内容不同：{names}。已发布的文本不可修改，请提高 version 后重新上传。",
                f"These versions exist with another text: {names}. A version's text never changes; "
                "raise `version` and upload again.",
            ),
            conflicts=conflicts,
        )


def _version(each: UploadedDocument, author: str, work: UnitOfWork) -> DefinitionVersion:
    kind, namespace, name, version = each.key
    return DefinitionVersion(
        kind=kind,
        namespace=namespace,
        name=name,
        version=version,
        digest=each.digest,
        title=each.title,
        author=author,
        uploaded_at=work.now,
        properties=each.properties,
    )


async def _require(definitions: Definitions, key: VersionKey) -> DefinitionVersion:
    version = await definitions.get(key)
    if version is None:
        raise _not_found(" ".join(part for part in key if part))
    return version


def _not_found(label: str) -> NotFoundProblem:
    return NotFoundProblem(Text(f"没有定义 {label}", f"There is no definition {label}"))


def _broken(findings: list[dict[str, Any]]) -> ValidationProblem:
    errors = [found for found in findings if found["severity"] == "error"]
    return ValidationProblem(
        Text(
            f"上传的定义有 {len(errors)} 处错误，未做任何改动。请按 findings 逐条修改后重新上传。",
            f"The upload has {len(errors)} errors; nothing was changed. Correct what is in `findings`, upload again.",
        ),
        findings=findings,
    )


def _target(version: DefinitionVersion) -> str:
    return f"definition:{version.label}"

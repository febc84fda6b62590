"""Human tasks as runs handle them: open, take the completed form, close. Each does nothing when it was done before."""

from datetime import datetime
from typing import Any

from domain.access import Actor, Scope, system_actor
from domain.catalog.flow import HumanTaskArguments
from domain.dsl.durations import parse_duration
from domain.events import rfc3339
from domain.human_tasks import OPEN_STATES, Person, PersonAction, SystemAction, moved_by_person, moved_by_system
from domain.organisation import Placement
from domain.problems import AuthorizationProblem, ConfigurationProblem, NotFoundProblem, Text
from domain.resources import check_form_schema
from services.human_tasks import refuse_stale, remember, touch
from storage.audit import AuditLog
from storage.definitions import Definitions
from storage.engine import Database
from storage.human_tasks import HIGHEST_PRIORITY, NEVER_DUE, HumanTaskRow, HumanTasks
from storage.runs import Runs
from storage.unit_of_work import UnitOfWork
from workflows.messages import CloseHumanTask, CompleteHumanTask, HumanTaskReceipt, OpenHumanTask

_RUN = "system:run"
_ORDERS: dict[str, SystemAction] = {"exited": "exit", "suspended": "suspend", "ready": "resume"}


class HumanTaskSteps:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, request: OpenHumanTask) -> None:
        """Put a step before the people of its queue; a task that a failed attempt of the run left behind opens again.

        :raises ConfigurationProblem: its form is not published, or is no form.
        :raises AuthorizationProblem: it is reserved for somebody who is excluded from it.
        """
        arguments = HumanTaskArguments.model_validate(request.arguments)
        async with UnitOfWork(self._database) as work:
            tasks = HumanTasks(work)
            new = await self._new_row(work, request, arguments)
            if await tasks.add(new):
                await _note_reservation(work, new)
                return
            row = await tasks.row(request.task_id, for_update=True)
            if row is not None and row.state == "exited" and row.ended_at and new.opened_at > row.ended_at:
                kept = row.version
                for name, value in new.model_dump(exclude={"id"}).items():
                    setattr(row, name, value)
                row.version = kept
                touch(row, _RUN, work.now)
                await _note_reservation(work, row)

    async def finish(self, command: CompleteHumanTask) -> HumanTaskReceipt:
        """Record a person's completed (or failed) task, inside the run's update.

        :raises ConflictProblem: somebody was faster, or the state does not allow it.
        :raises AuthorizationProblem: it is somebody else's.
        :raises NotFoundProblem: there is no such task.
        """
        action: PersonAction = "complete" if command.outcome == "completed" else "fail"
        async with UnitOfWork(self._database) as work:
            tasks = HumanTasks(work)
            row = await tasks.row(command.task_id, for_update=True)
            if row is None:
                raise NotFoundProblem(
                    Text(f"没有任务 {command.task_id}", f"There is no task {command.task_id}"), task=command.task_id
                )
            known = await tasks.command(row.id, command.key)
            if known is None or known.actor != command.actor:
                refuse_stale(row, command.version)
                moved = moved_by_person(row.standing, action, Person(command.actor, frozenset({row.queue})))
                row.state, row.before_suspension = moved.state, None
                row.output, row.draft = (command.form if action == "complete" else None), None
                row.comment = command.comment
                row.started_at = row.started_at or work.now
                row.ended_at = work.now
                touch(row, command.actor, work.now)
                content: dict[str, Any] = {
                    "form": command.form if action == "complete" else None,
                    "comment": command.comment,
                }
                await remember(work, row, action, command.actor, command.key, content)
                await AuditLog(work).record(
                    _person(command.actor), f"task.{action}", f"task:{row.id}", {"version": row.version}, row.placement
                )
            return HumanTaskReceipt(row.id, row.version, rfc3339(row.ended_at or work.now))

    async def close(self, request: CloseHumanTask) -> None:
        """Withdraw a task (`exited`), put it aside (`suspended`) or back (`ready`: as it was before)."""
        async with UnitOfWork(self._database) as work:
            row = await HumanTasks(work).row(request.task_id, for_update=True)
            if row is None:
                return
            before = row.standing
            moved = moved_by_system(before, _ORDERS[request.state])
            if moved == before:
                return
            row.state, row.before_suspension = moved.state, moved.before_suspension
            if moved.state not in OPEN_STATES:
                row.ended_at = work.now
            row.comment = request.reason if moved.state == "exited" else row.comment
            touch(row, _RUN, work.now)

    async def _new_row(self, work: UnitOfWork, request: OpenHumanTask, arguments: HumanTaskArguments) -> HumanTaskRow:
        form_name, form = await _form(work, arguments.form)
        opened_at = datetime.fromisoformat(request.opened_at)
        due_at = opened_at + parse_duration(arguments.due) if arguments.due else None
        if arguments.assignee is not None and arguments.assignee in arguments.exclude:
            raise AuthorizationProblem(
                Text(
                    f"任务指定给 {arguments.assignee}，但此人按四眼原则被排除，请修改流程定义。",
                    f"The task is reserved for {arguments.assignee}, who is excluded from it (four eyes); "
                    "change the definition.",
                )
            )
        # Held, so that whoever lets runs follow customers who part comes before this task or after it.
        run = await Runs(work).row(request.run_id, for_update=True)
        place = run.placement if run is not None else Placement()
        return HumanTaskRow(
            id=request.task_id,
            run_id=request.run_id,
            name=request.name,
            reference=request.reference,
            # Whose the run is may have changed since it began.
            subject=run.subject if run is not None and run.subjects else request.subject,
            queue=arguments.queue,
            title=arguments.title,
            form_name=form_name,
            form=form,
            data=arguments.data,
            urgency=HIGHEST_PRIORITY - arguments.priority,
            due_at=due_at,
            due_sort=due_at or NEVER_DUE,
            state="reserved" if arguments.assignee else "ready",
            assignee=arguments.assignee,
            excluded=list(arguments.exclude),
            opened_at=opened_at,
            claimed_at=work.now if arguments.assignee else None,
            changed_at=work.now,
            changed_by=_RUN,
            unit_path=place.unit_path,
            account_id=place.account_id,
            customer_owner=place.customer_owner,
        )


async def _note_reservation(work: UnitOfWork, row: HumanTaskRow) -> None:
    """Who holds a task sees its personal data in clear, so a task that nobody had to claim leaves its trace as well."""
    if row.assignee is not None:
        detail = {"to": row.assignee, "run": row.run_id}
        await AuditLog(work).record(system_actor("run"), "task.reserve", f"task:{row.id}", detail, row.placement)


async def _form(work: UnitOfWork, form: str | dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The form's name, if it has one, and its schema as it is now."""
    if isinstance(form, dict):
        check_form_schema(form)
        return None, form
    published = await Definitions(work).in_force("form", form)
    if published is None:
        raise ConfigurationProblem(
            Text(
                f"没有已发布的表单“{form}”，请先上传并发布它，再重试运行。",
                f"There is no published form “{form}”; upload and publish it, then take the run up again.",
            ),
            form=form,
        )
    return form, published.properties["schema"]


def _person(login: str) -> Actor:
    return Actor(user_id=None, login=login, roles=frozenset(), scope=Scope.everything())

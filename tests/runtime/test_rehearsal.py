"""What a stage keeps of the runs on it."""

from contextlib import suppress

from temporalio.client import Client, WorkflowFailureError

from runtime.rehearsal import Rehearsal
from tests.workflows.observing import flow, new_id


async def test_a_run_of_before_is_answered_and_not_kept(temporal: Client) -> None:
    stage = Rehearsal(temporal)
    async with stage.worker():
        before = await stage.start(flow("- rest: { wait: PT1H }"), new_id())
        await stage.until(lambda: bool(stage.reports))
        stage.forget()
        now = await stage.start(flow("- read: { call: youzan.get_refund, with: { refund_id: R1 } }"), new_id())
        await before.cancel()
        with suppress(WorkflowFailureError):
            await before.result()
        await now.result()
        assert {report.run_id for report in stage.reports} == {now.id}
        assert [call.run_id for call in stage.calls] == [now.id]

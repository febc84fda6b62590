"""Problems as Temporal failures and back, nothing lost on the way."""

from temporalio import exceptions
from temporalio.exceptions import ApplicationError, FailureError

from domain.problems import CommunicationProblem, Problem, ProblemError, RuntimeProblem, Text, TimeoutProblem


def failure_of(problem: Problem, *, retryable: bool = False) -> ApplicationError:
    """The failure that carries a problem in its details, its type the problem's type."""
    return ApplicationError(
        problem.detail or problem.title or problem.type,
        problem.as_dict(),
        type=problem.type,
        non_retryable=not retryable,
    )


def problem_of(error: BaseException) -> ProblemError:
    """The problem inside a failure of an activity, an update or a child; a timeout becomes a 408.

    Whoever waits for it was not cancelled: that it was is a problem of the work.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ProblemError):
            return seen
        if isinstance(seen, ApplicationError):
            if seen.details and isinstance(seen.details[0], dict) and "status" in seen.details[0]:
                return ProblemError.of(Problem.model_validate(seen.details[0]))
            return RuntimeProblem(Text(f"内部错误：{seen.message}", f"Internal error: {seen.message}"))
        if isinstance(seen, exceptions.CancelledError):
            return RuntimeProblem(Text("被外部取消", "It was cancelled from outside"))
        if isinstance(seen, exceptions.TimeoutError):
            return TimeoutProblem(Text("调用在期限内没有完成", "The call did not finish in time"))
        if isinstance(seen, FailureError):
            seen = seen.cause or seen.__cause__
        else:
            break
    return CommunicationProblem(Text(f"调用失败：{error}", f"The call failed: {error}"))

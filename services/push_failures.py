"""Whether what one push says may be to blame for an error, and what a person is told of it."""

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from domain.problems import ConfigurationProblem, ProblemError, UnavailableProblem
from storage.failures import is_refused


def may_be_of_a_push(error: Exception) -> bool:
    """Whether the error may be due to what one push says: any other batch would go through."""
    if isinstance(error, SQLAlchemyError):
        return isinstance(error, DBAPIError) and is_refused(error)
    return not isinstance(error, UnavailableProblem | ConfigurationProblem | OSError | MemoryError)


def reason_of(error: Exception) -> str:
    """In a few words, without what the push says where the database would repeat it."""
    if isinstance(error, DBAPIError):
        return f"the database refused it: {type(error.orig).__name__}"
    return str(error) if isinstance(error, ProblemError) else f"{type(error).__name__}: {error}"

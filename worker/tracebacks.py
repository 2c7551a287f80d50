"""Letting go of a failed job: an error holds every frame that it went through, and what was in their hands."""


def let_go(error: object) -> None:
    """Drop the traceback of what a task has raised, and of each error that it came of; nothing else is an error.

    celery's tracer keeps the error, and the error's traceback the tracer's frame. Of that circle hang the photo and
    billiard's copy of every position in the code of those frames: 0.5 MB a job, as measured, until Python's collector
    has a reason to look at all that is old, which is once in thousands of jobs.
    """
    left = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseException) and one.__traceback__ is not None:
            one.__traceback__ = None
            left += [one.__cause__, one.__context__]

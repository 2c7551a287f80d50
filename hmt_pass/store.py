"""The Redis connection that producer and worker share, with redis-py's errors turned into ours."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.commands.core import Script
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from hmt_pass.errors import SettingsError, StoreError


def connect(url: str, timeout_s: float = 5.0) -> "Store":
    """A lazy, thread-safe connection pool to `url`; every command ends within about `timeout_s`.

    By default redis-py repeats a command after a lost connection, and a counter would count twice: not here.
    """
    try:
        pool = redis.ConnectionPool.from_url(
            url,
            decode_responses=True,
            encoding_errors="backslashreplace",  # a queue may hold anything
            socket_timeout=timeout_s,
            socket_connect_timeout=min(timeout_s, 3.0),
            socket_keepalive=True,
            health_check_interval=30,
            driver_info=None,  # two round trips of every new connection, to tell the server our library's name
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:  # its text quotes the password
        raise SettingsError("the Redis URL cannot be read; a password in it must be percent-encoded") from None
    return cast("Store", Store.from_pool(pool))  # typed as redis.Redis; it is cls.from_pool


P = ParamSpec("P")
T = TypeVar("T")


def _translated(method: Callable[P, T], passed: tuple[type[Exception], ...] = ()) -> Callable[P, T]:
    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except passed:
            raise
        except (RedisError, OSError) as error:  # the latter when the process has no file descriptor left
            # A failed pipeline quotes its command, and with it what was to be written.
            raise StoreError(f"Redis: {str(error).rpartition('of pipeline caused error: ')[2]}") from None

    return call


class _Script(Script):
    """A script that runs even if the server forgets it between loading and running."""

    def __call__(self, keys: Any = None, args: Any = None, client: Any = None) -> Any:  # noqa: ANN401  as redis-py has it
        """Run it. Raises StoreError."""
        try:
            return super().__call__(keys, args, client)
        except NoScriptError:
            store = client or self.registered_client
            return store.eval(str(self.script), len(keys or ()), *(keys or ()), *(args or ()))


class _Pipeline(Pipeline):
    execute = _translated(Pipeline.execute)


class Store(redis.Redis):
    """redis.Redis that raises StoreError and nothing else of its own."""

    execute_command = _translated(redis.Redis.execute_command, (NoScriptError,))  # redis-py loads the script then

    def register_script(self, script: Any) -> _Script:  # noqa: ANN401  as redis-py has it
        """The script as a function of `keys`, `args` and, to run it in a pipeline, `client`."""
        return _Script(self, script)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _Pipeline:
        """A pipeline, in MULTI/EXEC unless told otherwise, whose `execute` raises StoreError."""
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

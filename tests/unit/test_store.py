import fakeredis
import pytest
from fakes import fake_store

from hmt_pass.errors import StoreError
from hmt_pass.store import connect


def test_an_outage_is_our_error_for_commands_pipelines_and_scripts() -> None:
    server = fakeredis.FakeServer(server_type="redis")
    store = fake_store(server)
    script = store.register_script("return 1")
    server.connected = False
    with pytest.raises(StoreError, match="Redis: "):
        store.get("a")
    with store.pipeline() as pipe:
        pipe.set("a", 1)
        with pytest.raises(StoreError, match="Redis: "):
            pipe.execute()
    with pytest.raises(StoreError, match="Redis: "):
        script()


def test_a_refused_command_is_our_error_without_the_librarys_behind_it() -> None:
    store = fake_store()
    store.set("a", "text")
    with pytest.raises(StoreError) as caught:
        store.incr("a")
    assert caught.value.__suppress_context__


def test_a_script_that_the_server_does_not_know_is_loaded() -> None:
    store = fake_store()
    script = store.register_script("return redis.call('INCR', KEYS[1])")
    assert [1, 2] == [script(keys=["a"]) for _ in range(2)]
    with store.pipeline(transaction=False) as pipe:
        script(keys=["a"], client=pipe)
        assert [3] == pipe.execute()


def test_connecting_opens_nothing_and_a_command_is_never_sent_twice() -> None:
    store = connect("redis://:hush@127.0.0.1:1/0", timeout_s=2)
    options = store.connection_pool.connection_kwargs
    assert (2, 2, True, 0) == (
        options["socket_timeout"],
        options["socket_connect_timeout"],
        options["decode_responses"],
        options["retry"].get_retries(),
    )

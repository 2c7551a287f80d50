from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import control
from flower.views import BaseHandler

from hmt_pass.queues import work_queues
from worker import inspection


@pytest.mark.parametrize("url", ["redis://broker", "amqp://broker//"])
def test_flower_learns_of_the_dead_letter_queue_though_nobody_consumes_it(url: str) -> None:
    state = SimpleNamespace(consumer=SimpleNamespace(task_consumer=SimpleNamespace(queues=work_queues(url))))
    panel: Any = control.Panel  # the stubs leave it out
    told = panel.data["active_queues"](state)
    application = SimpleNamespace(workers={"w@host": {"active_queues": told}})
    view: Any = SimpleNamespace(application=application)
    assert ["hmt_pass", "hmt_pass.bulk", "hmt_pass.dead_letter"] == BaseHandler.get_active_queue_names(view)


def test_a_worker_that_does_not_consume_names_no_queue() -> None:
    assert [] == inspection.active_queues(SimpleNamespace(consumer=SimpleNamespace(task_consumer=None)))

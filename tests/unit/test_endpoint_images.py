"""Images under their image_id."""

import re
from concurrent.futures import ThreadPoolExecutor

from hmt_pass.endpoint.images import ImageStore


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_an_image_is_found_under_its_id() -> None:
    store = ImageStore()
    assert b"image" == store.get("an-account", store.put("an-account", b"image"))


def test_an_id_is_32_hex_digits_and_of_one_image_only() -> None:
    store = ImageStore()
    first, second = store.put("an-account", b"image"), store.put("an-account", b"image")
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second


def test_an_image_that_was_never_here_is_not_found() -> None:
    assert ImageStore().get("an-account", "0" * 32) is None


def test_another_account_does_not_find_an_image() -> None:
    store = ImageStore()
    assert store.get("another-account", store.put("an-account", b"image")) is None


def test_the_oldest_images_make_room() -> None:
    store = ImageStore(max_bytes=10_000)
    ids = [store.put("an-account", b"x" * 4000) for _ in range(3)]
    assert [False, True, True] == [store.get("an-account", image_id) is not None for image_id in ids]


def test_an_image_that_does_not_fit_pushes_no_other_out() -> None:
    store = ImageStore(max_bytes=10_000)
    small = store.put("an-account", b"image")
    large = store.put("an-account", b"x" * 10_000)
    assert (b"image", None) == (store.get("an-account", small), store.get("an-account", large))


def test_tiny_images_are_bounded_by_what_keeping_them_costs() -> None:
    store = ImageStore(max_bytes=64_000)
    ids = [store.put("an-account", b"") for _ in range(1000)]
    assert sum(store.get("an-account", image_id) is not None for image_id in ids) <= 100


def test_an_image_goes_when_its_lifetime_is_over() -> None:
    clock = Clock()
    store = ImageStore(lifetime_s=60, now_s=clock)
    image_id = store.put("an-account", b"image")
    clock.now_s = 59.9
    assert b"image" == store.get("an-account", image_id)
    clock.now_s = 60
    assert store.get("an-account", image_id) is None


def test_a_lifetime_of_zero_keeps_nothing() -> None:
    store = ImageStore(lifetime_s=0, now_s=Clock())
    assert store.get("an-account", store.put("an-account", b"image")) is None


def test_room_that_was_given_back_is_used_again() -> None:
    clock = Clock()
    store = ImageStore(max_bytes=10_000, lifetime_s=1, now_s=clock)
    for _ in range(5):
        clock.now_s += 1
        image_id = store.put("an-account", b"x" * 9000)
    assert store.get("an-account", image_id) is not None


def test_threads_share_a_store() -> None:
    store = ImageStore(max_bytes=20_000)

    def use(number: int) -> bool:
        image = str(number).encode() * 500
        return store.get("an-account", store.put("an-account", image)) in {image, None}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))
    assert b"image" == store.get("an-account", store.put("an-account", b"image"))

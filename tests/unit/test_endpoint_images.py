"""Images under their image_id."""

from hmt_pass.endpoint.images import ImageStore


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_an_image_is_found_under_its_id() -> None:
    store = ImageStore()
    assert b"image" == store.get("an-account", store.put("an-account", b"image"))


def test_an_image_that_was_never_here_is_not_found() -> None:
    assert ImageStore().get("an-account", "0" * 32) is None


def test_the_oldest_images_make_room() -> None:
    store = ImageStore(max_bytes=10)
    ids = [store.put("an-account", b"four") for _ in range(3)]
    assert [None, b"four", b"four"] == [store.get("an-account", image_id) for image_id in ids]


def test_an_image_goes_when_its_lifetime_is_over() -> None:
    clock = Clock()
    store = ImageStore(lifetime_s=60, now_s=clock)
    image_id = store.put("an-account", b"image")
    clock.now_s = 61
    assert store.get("an-account", image_id) is None

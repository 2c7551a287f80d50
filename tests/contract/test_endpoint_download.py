"""Images by their address, over real sockets: what is fetched, and what is refused."""

import asyncio
import gzip
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest
from endpoints import Answer, gives, photo, refusal, running, said, website
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sites import (
    BEYOND_THE_LIMIT_S,
    FAILED,
    LATE,
    PICTURE,
    PRIVATE,
    TOO_LARGE,
    Inside,
    Serve,
    fetched,
    headers,
    redirects,
    silent,
    then,
    without_end,
)

from hmt_pass import image
from hmt_pass.codes import Code
from hmt_pass.endpoint import download
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.download import Downloads


def test_the_bytes_behind_an_address_are_fetched(internet: Serve) -> None:
    assert [PICTURE] == fetched(internet(gives(PICTURE)))


def test_a_picture_of_the_largest_size_is_fetched(internet: Serve) -> None:
    picture = bytes(image.MAX_BYTES)
    assert [picture] == fetched(internet(then(headers(Content_Length=str(len(picture))), picture)))


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("/图 片.jpg?名=值", "/%E5%9B%BE%20%E7%89%87.jpg?%E5%90%8D=%E5%80%BC"),
        ("/%E5%9B%BE%20.jpg", "/%E5%9B%BE%20.jpg"),
        ("/a%2Fb?sig=x%2By%2F%3D%7E&t=k:v_-=|a&e=1+2", "/a%2Fb?sig=x%2By%2F%3D%7E&t=k:v_-=|a&e=1+2"),
        ('/<"{`^}">\\', "/%3C%22%7B%60%5E%7D%22%3E%5C"),
        ("/100%?%zz", "/100%?%zz"),
        ("/a#the-part-for-browsers", "/a"),
        ("?only=query", "/?only=query"),
        ("", "/"),
    ],
)
def test_an_address_is_escaped_where_it_has_to_be_and_nowhere_else(internet: Serve, written: str, asked: str) -> None:
    site = internet(lambda request: gives(request.path.encode())(request)).removesuffix("/photo")
    assert [asked.encode()] == fetched(site + written)


def test_an_address_may_have_8192_characters(internet: Serve) -> None:
    longest = internet(gives(PICTURE)).ljust(8192, "a")
    assert [PICTURE, FAILED] == fetched(longest, longest + "a")


def test_redirects_are_followed(internet: Serve) -> None:
    here = internet(gives(PICTURE))
    assert [PICTURE] == fetched(internet(redirects("/a", "b?c", "#d", f"//{here.removeprefix('http://')}")))


def test_five_redirects_are_followed_and_not_six(internet: Serve) -> None:
    here = internet(gives(PICTURE))
    five, six = (internet(redirects(*["/again"] * (count - 1), here)) for count in (5, 6))
    assert [PICTURE, FAILED] == fetched(five, six)


@pytest.mark.parametrize(
    "answer",
    [
        headers(404),
        headers(204),
        headers(304),
        headers(302),
        then(headers(206), PICTURE),
        lambda request: request.connection.close(),
        lambda request: request.wfile.write(b"no HTTP at all\r\n\r\n"),
        then(headers(Content_Length="100"), PICTURE),
        then(headers(Content_Length="-1"), PICTURE),
        then(headers(Content_Encoding="gzip"), gzip.compress(bytes(4 * image.MAX_BYTES), 1)),
        then(headers(Content_Encoding="br, identity"), PICTURE),
        headers(302, Location="file:///etc/passwd"),
        headers(302, Location="ftp://127.0.0.1/photo"),
        headers(302, Location="http://[/"),
        headers(302, Location="/photo"),
        then(headers(302, Location="/photo"), bytes(10 * image.MAX_BYTES)),
        without_end(b"X-A: " + b"a" * 1000 + b"\r\n"),
        without_end(b"a" * 1000, first=b"HTTP/1.1 200 OK\r\nX-A: "),
        without_end(b"a" * 1000, first=b""),
    ],
)
def test_an_answer_without_a_picture_is_1006(internet: Serve, answer: Answer) -> None:
    assert [FAILED] == fetched(internet(answer))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not an address",
        "//127.0.0.1/a",
        "http:",
        "http://",
        "http:///etc/passwd",
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "file://127.0.0.1/etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "data:image/png;base64,AAAA",
        "ws://127.0.0.1/",
        "unix:///var/run/docker.sock",
        "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://[::1]:1/",
        "http://a\\@127.0.0.1/",
        "http://" + "a" * 70 + ".test/",
        "http://a..test/",
        "http://\x00/",
        "http://\ud800/",
    ],
)
def test_an_address_that_cannot_be_fetched_is_1006_whatever_the_switch(url: str) -> None:
    assert [FAILED] == fetched(url, private_addresses=True)
    assert [FAILED] == fetched(url, private_addresses=False)


@pytest.mark.parametrize(
    "answer",
    [
        then(headers(Content_Length=str(image.MAX_BYTES + 1)), b""),
        then(headers(), bytes(image.MAX_BYTES + 1)),
        without_end(bytes(64 * 1024), first=b"HTTP/1.1 200 OK\r\n\r\n"),
        without_end(
            b"4000\r\n" + bytes(0x4000) + b"\r\n", first=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        ),
    ],
)
def test_a_picture_at_an_address_may_not_be_too_large(internet: Serve, answer: Answer) -> None:
    assert [TOO_LARGE] == fetched(internet(answer))


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        without_end(b"a", 0.02, first=b"HTTP/1.1 200 "),
        without_end(b"X-A: a\r\n", 0.02),
        without_end(b"a", 0.02, first=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        without_end(b"HTTP/1.1 102 Processing\r\n\r\n", 0.001, first=b""),
    ],
)
@pytest.mark.usefixtures("short_limit")
def test_a_download_that_drips_is_1005_when_its_time_is_over(internet: Serve, answer: Answer) -> None:
    begun_s = time.monotonic()
    assert [LATE] == fetched(internet(answer))
    assert time.monotonic() - begun_s < BEYOND_THE_LIMIT_S


@pytest.mark.usefixtures("short_limit", "internet")
def test_a_name_that_is_looked_up_for_too_long_is_1005(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(1) or [])
    assert [LATE] == fetched("http://slow.test/")


@pytest.mark.parametrize("encoding", ["chunked", "gzip, chunked"])
@pytest.mark.usefixtures("short_limit")
def test_a_body_that_is_not_as_announced_is_refused_in_time(internet: Serve, encoding: str) -> None:
    (refused,) = fetched(internet(then(headers(Transfer_Encoding=encoding), b"no chunk")))
    assert refused in (FAILED, LATE)  # the HTTP library tells at once or not at all


def test_downloads_at_once_are_bounded_and_the_others_wait(internet: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_AT_ONCE", 2)
    at_once: list[int] = []
    under_way: set[object] = set()
    pair = threading.Barrier(2, timeout=5)

    def answer(request: BaseHTTPRequestHandler) -> None:
        under_way.add(request)
        pair.wait()
        at_once.append(len(under_way))
        time.sleep(0.05)
        under_way.discard(request)
        gives(PICTURE)(request)

    assert [PICTURE] * 6 == fetched(*[internet(answer)] * 6)
    assert max(at_once) == 2


def test_an_account_with_slow_addresses_leaves_room_for_the_others(internet: Serve) -> None:
    finish = threading.Event()
    slow, quick = internet(lambda _: finish.wait(9)), internet(gives(PICTURE))

    async def scenario() -> tuple[bytes, bool]:
        downloads = Downloads()
        greedy = [asyncio.create_task(downloads.fetch(slow, "greedy")) for _ in range(64)]
        await asyncio.sleep(0.1)
        picture = await downloads.fetch(quick, "modest")
        is_first = not any(task.done() for task in greedy)
        await downloads.close()
        for task in greedy:
            task.cancel()
        await asyncio.gather(*greedy, return_exceptions=True)
        return picture, is_first

    try:
        assert (PICTURE, True) == asyncio.run(scenario())
    finally:
        finish.set()


@pytest.mark.usefixtures("short_limit")
def test_waiting_for_its_turn_is_part_of_a_downloads_time(internet: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_AT_ONCE", 1)
    begun_s = time.monotonic()
    assert [LATE] * 16 == fetched(*[internet(silent)] * 16)
    assert time.monotonic() - begun_s < BEYOND_THE_LIMIT_S  # one after the other they would take 3.2 s


def test_downloads_can_be_closed_before_the_first_one() -> None:
    assert [] == fetched()


def test_downloads_under_way_end_in_1006_when_they_are_closed(internet: Serve) -> None:
    url = internet(silent)

    async def scenario() -> Code:
        downloads = Downloads()
        fetching = asyncio.create_task(downloads.fetch(url, "an-account"))
        await asyncio.sleep(0.1)
        await downloads.close()
        with pytest.raises(RefusedError) as caught:
            await fetching
        return caught.value.code

    assert asyncio.run(scenario()) == Code.DOWNLOAD_FAILED


def test_whatever_text_is_given_nothing_but_a_refusal_comes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PRIVATE, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: inside)
    parts = st.text(alphabet="[]:/?#@%.0aé。\\\t ", max_size=12)
    urls = st.one_of(st.text(), st.text().map("http://{}".format), parts.map("https://{}".format))

    with asyncio.Runner() as runner:
        downloads = Downloads()

        @settings(max_examples=300, deadline=None)
        @example("http://[v1.a]/")
        @example("http://[::ffff:1.2.3.4%25a]/")
        @example("http://%6c/")
        @example("http://-.test:1/")
        @given(urls)
        def is_refused(url: str) -> None:
            with pytest.raises(RefusedError) as caught:
                runner.run(downloads.fetch(url, "an-account"))
            assert caught.value.code == Code.DOWNLOAD_FAILED

        is_refused()
        runner.run(downloads.close())


def test_an_endpoint_reads_a_picture_by_its_address_where_the_switch_allows_it(internet: Serve) -> None:

    url = internet(gives(photo()))
    with running(private_addresses=True) as endpoint:
        assert "0000" == endpoint.post(url=url)["code"]
        assert said(endpoint.post(url=internet(headers(404)))) == refusal(Code.DOWNLOAD_FAILED)
        assert said(endpoint.post(url=internet(gives(bytes(6 * 1024 * 1024))))) == refusal(Code.IMAGE_TOO_LARGE, "url")


@pytest.mark.usefixtures("short_limit")
def test_an_endpoint_answers_in_time_for_a_site_that_never_does(internet: Serve) -> None:
    with running() as endpoint:
        assert said(endpoint.post(url=internet(silent))) == refusal(Code.DOWNLOAD_TIMEOUT)


def test_an_endpoint_does_not_speak_to_its_own_machine_unless_told_to() -> None:
    with website() as serve, running(private_addresses=False) as endpoint:
        site = Inside(serve)
        body = endpoint.post(url=site.url)
    assert (said(body), "reason" in body, site.asked) == (refusal(Code.DOWNLOAD_FAILED), False, [])

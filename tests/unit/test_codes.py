from pathlib import Path

import pytest

from hmt_pass import codes
from hmt_pass.codes import Code, Disposition

# API text, section 4, word for word.
API_TEXT = """\
0000 调用成功
1000 验签失败
1001 参数非UTF-8编码
1002 请求参数错误,具体原因见 reason 字段内容
1003 liveness_data 出错
1004 图片未检测出人脸 。对应图片见字段 image 所反馈的值
1005 从网络获取图片超时
1006 网络地址图片获取失败
1007 账号或密钥错误
1008 账号过期,具体情况见 reason 字段内容
1009 调用频率超出限额
1010 调用次数超出限额
1011 无调用权限
1012 请求路径错误
1013 图片体积过大。对应图片见字段 image 所反馈的值
1014 图片不存在。对应图片见字段 image 所反馈的值。
1015 文件不是图片文件或已经损坏。对应图片见字段 image 所反馈的值
1016 图片大小或格式不符合要求。对应图片见字段 image 所反馈的值
1027 交易受限
9999 服务器内部错误
9990 数据服务异常
9980 余额不足
"""

DISPOSITIONS = {
    Disposition.DONE: "0000",
    Disposition.RETRY: "1005 9999 9990 1006",
    Disposition.SNOOZE: "1009",
    Disposition.REJECT: "1004 1013 1014 1015 1016",
    Disposition.DEAD_LETTER: "1001 1002 1003 1000 1007 9980 1008 1010 1011 1012 1027",
}
ACCOUNT_WIDE = {"1000", "1007", "9980", "1008", "1010", "1011", "1012", "1027"}


def test_the_table_is_the_api_texts_in_its_order() -> None:
    assert "".join(f"{code.value} {code.message}\n" for code in Code) == API_TEXT


@pytest.mark.parametrize("wanted", Disposition)
def test_every_code_has_the_disposition_of_the_design(wanted: Disposition) -> None:
    assert set(DISPOSITIONS[wanted].split()) == {code.value for code in Code if code.disposition is wanted}


def test_what_the_next_call_would_meet_too_is_account_wide() -> None:
    assert {code.value for code in Code if code.account_wide} == ACCOUNT_WIDE


def test_only_dead_letters_can_be_account_wide() -> None:
    assert {code.disposition for code in Code if code.account_wide} == {Disposition.DEAD_LETTER}


def test_a_wire_value_finds_its_code() -> None:
    assert Code.find("0000") is Code.OK
    assert Code.find("9980") is Code.NO_BALANCE


def test_the_functions_on_wire_values_read_the_table() -> None:
    assert codes.disposition("1009") is Disposition.SNOOZE
    assert codes.is_account_wide("1007")
    assert not codes.is_account_wide("1005")
    assert codes.meaning("9980") == "the account has no money left"


@pytest.mark.parametrize("value", ["4711", "", "0", "00000"])
def test_a_code_that_the_text_does_not_list_is_dead_lettered_without_a_hold(value: str) -> None:
    assert Code.find(value) is None
    assert codes.disposition(value) is Disposition.DEAD_LETTER
    assert not codes.is_account_wide(value)
    assert codes.meaning(value) == f"the API text does not list code {value}"


def test_every_meaning_is_said_once() -> None:
    assert len({code.meaning for code in Code}) == len(Code)


def test_docs_codes_md_is_up_to_date() -> None:
    document = Path(__file__).parents[2] / "docs" / "codes.md"
    assert codes.markdown() == document.read_text(encoding="utf-8")

"""The business codes of the API, in the order of its text (section 4), and what an operator does with each.

This table is the only place where a code gets its meaning: the worker, the endpoint and docs/codes.md read it.
`python -m hmt_pass.codes` prints docs/codes.md.
"""

from enum import Enum, StrEnum
from typing import Self

ACCOUNT = True


class Disposition(StrEnum):
    """What happens to a job after an answer. The set is closed."""

    DONE = "done"
    RETRY = "retry"
    SNOOZE = "snooze"
    REJECT = "reject"
    DEAD_LETTER = "dead letter"


class Code(Enum):
    """One business code: its value on the wire, the text's message, what it means, its disposition, account-wide or not.

    An account-wide code would be the answer to the next call too, so it also opens the hold.
    """

    # fmt: off
    OK = "0000", "调用成功", "recognized", Disposition.DONE
    BAD_SIGNATURE = "1000", "验签失败", "the signature does not match", Disposition.DEAD_LETTER, ACCOUNT
    NOT_UTF8 = "1001", "参数非UTF-8编码", "a parameter is not UTF-8", Disposition.DEAD_LETTER
    BAD_REQUEST = "1002", "请求参数错误,具体原因见 reason 字段内容", "a parameter is wrong; see reason", Disposition.DEAD_LETTER
    BAD_LIVENESS_DATA = "1003", "liveness_data 出错", "liveness_data is wrong (face APIs only)", Disposition.DEAD_LETTER
    NO_FACE = "1004", "图片未检测出人脸 。对应图片见字段 image 所反馈的值", "no face in the image", Disposition.REJECT
    DOWNLOAD_TIMEOUT = "1005", "从网络获取图片超时", "downloading the image took over 5 s", Disposition.RETRY
    DOWNLOAD_FAILED = "1006", "网络地址图片获取失败", "the image could not be downloaded", Disposition.RETRY
    BAD_ACCOUNT = "1007", "账号或密钥错误", "account or secret is wrong", Disposition.DEAD_LETTER, ACCOUNT
    ACCOUNT_EXPIRED = "1008", "账号过期,具体情况见 reason 字段内容", "the account has expired; see reason", Disposition.DEAD_LETTER, ACCOUNT
    RATE_EXCEEDED = "1009", "调用频率超出限额", "too many calls a second", Disposition.SNOOZE
    QUOTA_EXCEEDED = "1010", "调用次数超出限额", "the number of calls is used up", Disposition.DEAD_LETTER, ACCOUNT
    NO_PERMISSION = "1011", "无调用权限", "the account may not call this API", Disposition.DEAD_LETTER, ACCOUNT
    BAD_PATH = "1012", "请求路径错误", "the request path is wrong", Disposition.DEAD_LETTER, ACCOUNT
    IMAGE_TOO_LARGE = "1013", "图片体积过大。对应图片见字段 image 所反馈的值", "the image file is over 5 MB", Disposition.REJECT
    IMAGE_MISSING = "1014", "图片不存在。对应图片见字段 image 所反馈的值。", "the image does not exist", Disposition.REJECT
    NOT_AN_IMAGE = "1015", "文件不是图片文件或已经损坏。对应图片见字段 image 所反馈的值", "not an image, or damaged", Disposition.REJECT
    BAD_IMAGE_SIZE_OR_FORMAT = "1016", "图片大小或格式不符合要求。对应图片见字段 image 所反馈的值", "image dimensions or format not allowed", Disposition.REJECT
    RESTRICTED = "1027", "交易受限", "the account is restricted", Disposition.DEAD_LETTER, ACCOUNT
    SERVER_ERROR = "9999", "服务器内部错误", "error inside the service", Disposition.RETRY
    DATA_SERVICE_ERROR = "9990", "数据服务异常", "the data behind the service failed", Disposition.RETRY
    NO_BALANCE = "9980", "余额不足", "the account has no money left", Disposition.DEAD_LETTER, ACCOUNT
    # fmt: on

    message: str
    meaning: str
    disposition: Disposition
    account_wide: bool

    def __new__(
        cls, value: str, message: str, meaning: str, disposition: Disposition, account_wide: bool = False
    ) -> Self:
        """One row of the table as a member whose value is the wire value alone."""
        code = object.__new__(cls)
        code._value_ = value
        code.message, code.meaning = message, meaning
        code.disposition, code.account_wide = disposition, account_wide
        return code

    @classmethod
    def find(cls, value: str) -> Self | None:
        """The code with this wire value, or None when the API text does not list it."""
        return next((code for code in cls if code.value == value), None)


UNKNOWN_CODE_DISPOSITION = Disposition.DEAD_LETTER


def disposition(value: str) -> Disposition:
    """What to do with a job that was answered `value`; a code that the text does not list is never retried blindly."""
    code = Code.find(value)
    return code.disposition if code else UNKNOWN_CODE_DISPOSITION


def is_account_wide(value: str) -> bool:
    """Whether the next call would get the same answer, whatever its image; False for an unknown code."""
    code = Code.find(value)
    return code.account_wide if code else False


def meaning(value: str) -> str:
    """The English meaning of a wire value, for logs and dead letters."""
    code = Code.find(value)
    return code.meaning if code else f"the API text does not list code {value}"


def markdown() -> str:
    """docs/codes.md: one row a code, in the text's order."""
    rows = [
        f"| {code.value} | {code.message} | {code.meaning} | {code.disposition}{' + hold' if code.account_wide else ''} |"
        for code in Code
    ]
    rows.append(f"| any other | | the API text does not list it | {UNKNOWN_CODE_DISPOSITION} |")
    return "\n".join(
        [
            "# Business codes",
            "",
            "Generated from `hmt_pass/codes.py` by `make codes`; do not edit.",
            "",
            "| code | message | meaning | disposition |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())

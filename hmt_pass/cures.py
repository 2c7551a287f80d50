"""What to do about a dead letter: a cure for each business code and each other reason, in English and Chinese.

This table is the only place of them: dead letters, their commands and docs/dead-letters.md read it.
`python -m hmt_pass.cures` prints docs/dead-letters.md. Commands are those of `python -m worker`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hmt_pass.codes import Code


@dataclass(frozen=True, slots=True)
class Cure:
    """What a reason means and what to do about it.

    `redrive` says whether a redrive can ever help: a job that cannot be run is to be discarded, and enqueued anew.
    """

    meaning: str
    en: str
    zh: str
    redrive: bool = True


# fmt: off
CODES: Mapping[Code, Cure] = {code: Cure(code.meaning, en, zh) for code, en, zh in (
    (Code.BAD_SIGNATURE, "`hold status` says so if our clock is wrong. If it is right, set HMT_PASS_API_SECRET or HMT_PASS_TIMESTAMP_UNIT, restart the workers, `hold release --redrive`; if the hold has ended by itself, `hold redrive`.", "若时钟有误，`hold status` 会指出；时钟无误则改正 HMT_PASS_API_SECRET 或 HMT_PASS_TIMESTAMP_UNIT，重启 worker，再执行 `hold release --redrive`；若已自动恢复，执行 `hold redrive`。"),
    (Code.NOT_UTF8, "A fault of ours or a change of the API: report it with `dead-letters show JOB`. After the update: `dead-letters redrive --code 1001`.", "这是本系统的缺陷或接口有变：附上 `dead-letters show JOB` 的输出报告；更新后执行 `dead-letters redrive --code 1001`。"),
    (Code.BAD_REQUEST, "`reason` names the parameter. A fault of ours or a change of the API: report it. After the update: `dead-letters redrive --code 1002`.", "`reason` 指出了出错的参数。这是本系统的缺陷或接口有变，请报告；更新后执行 `dead-letters redrive --code 1002`。"),
    (Code.BAD_LIVENESS_DATA, "This API has no liveness_data: HMT_PASS_ENDPOINT_URL leads to another one. Set it, restart the workers, `dead-letters redrive --code 1003`.", "本接口没有 liveness_data 参数：HMT_PASS_ENDPOINT_URL 指向了别的接口。改正后重启 worker，再执行 `dead-letters redrive --code 1003`。"),
    (Code.BAD_ACCOUNT, "Set HMT_PASS_API_ID and HMT_PASS_API_SECRET, restart the workers, `hold release --redrive`; if the hold has ended by itself, `hold redrive`.", "改正 HMT_PASS_API_ID 和 HMT_PASS_API_SECRET，重启 worker，再执行 `hold release --redrive`；若已自动恢复，执行 `hold redrive`。"),
    (Code.ACCOUNT_EXPIRED, "Have the account renewed in the vendor's console, `hold release --redrive`; if the hold has ended by itself, `hold redrive`.", "在服务商控制台续期账号，再执行 `hold release --redrive`；若已自动恢复，执行 `hold redrive`。"),
    (Code.QUOTA_EXCEEDED, "Raise the quota in the vendor's console or wait for the next period, `hold release --redrive`; if the hold has ended by itself, `hold redrive`.", "在服务商控制台提高调用额度，或等到下一个计费周期，再执行 `hold release --redrive`；若已自动恢复，执行 `hold redrive`。"),
    (Code.NO_PERMISSION, "Have the vendor allow the account this API, `hold release --redrive`; if the hold has ended by itself, `hold redrive`.", "请服务商为账号开通本接口，再执行 `hold release --redrive`；若已自动恢复，执行 `hold redrive`。"),
    (Code.BAD_PATH, "HMT_PASS_ENDPOINT_URL must be the base alone, without a path. Set it, restart the workers, `hold release --redrive`; if the hold has ended by itself, `hold redrive`.", "HMT_PASS_ENDPOINT_URL 只能是基础地址，不含路径。改正后重启 worker，再执行 `hold release --redrive`；若已自动恢复，执行 `hold redrive`。"),
    (Code.RESTRICTED, "Ask the vendor why the account is restricted and have it cleared, `hold release --redrive`; if the hold has ended by itself, `hold redrive`.", "向服务商询问交易受限的原因并解除，再执行 `hold release --redrive`；若已自动恢复，执行 `hold redrive`。"),
    (Code.NO_BALANCE, "Top up the account, `hold release --redrive`; if the hold has ended by itself, `hold redrive`.", "为账号充值，再执行 `hold release --redrive`；若已自动恢复，执行 `hold redrive`。"),
)}
UNKNOWN_CODE = Cure("the API text does not list the code", "Ask the vendor by the request_id what the code means. Then `dead-letters redrive --code CODE`, or `discard`.", "凭 request_id 向服务商询问该状态码的含义，再执行 `dead-letters redrive --code CODE` 或 `discard`。")
# By the reason, or what stands before its colon.
REASONS: Mapping[str, Cure] = {
    "exhausted": Cure("HMT_PASS_MAX_ATTEMPTS or HMT_PASS_MAX_AGE_S is used up; the last failure follows", "`doctor` says whether endpoint and S3 are well again. Then `dead-letters redrive --reason exhausted`.", "用 `doctor` 确认接口与 S3 已恢复，再执行 `dead-letters redrive --reason exhausted`。"),
    "exhausted: object denied": Cure("the worker's credentials may not read the photo, or not write the result", "Mend the bucket's or the role's policy, then `dead-letters redrive --reason 'object denied'`.", "修正存储桶或角色的访问策略，再执行 `dead-letters redrive --reason 'object denied'`。"),
    "possibly charged too often": Cure("that many calls were sent and never answered", "Ask the vendor by the attempts' sequence_id whether they were charged, then `dead-letters redrive --reason 'possibly charged'`.", "凭各次调用的 sequence_id 向服务商核对是否已计费，再执行 `dead-letters redrive --reason 'possibly charged'`。"),
    "object missing": Cure("S3 has no such bucket, key or version", "Upload the photo again under the same key, then `dead-letters redrive --reason 'object missing'`.", "以相同的 key 重新上传照片，再执行 `dead-letters redrive --reason 'object missing'`。"),
    "object changed": Cure("the photo no longer has the etag that it was enqueued with", "Enqueue the photo anew with its present etag, then `dead-letters discard --job JOB`.", "用当前的 etag 重新提交该照片，再执行 `dead-letters discard --job JOB`。"),
    "unreadable reply": Cure("an answer that is not the API's: a proxy's page, a wrong HMT_PASS_ENDPOINT_URL", "`detail` says what came. Mend address or proxy, restart the workers, `dead-letters redrive --reason 'unreadable reply'`.", "`detail` 说明收到了什么。修正地址或代理，重启 worker，再执行 `dead-letters redrive --reason 'unreadable reply'`。"),
    "0000 without data": Cure("charged, but nothing in it", "Ask the vendor by the request_id. To pay for another try: `dead-letters discard --job JOB`, then enqueue the photo anew.", "凭 request_id 询问服务商。若愿意再付费一次：先执行 `dead-letters discard --job JOB`，再重新提交该照片。", redrive=False),
    "poison": Cure("three workers died while they ran it", "Report it with the photo and the log lines `worker.ends`. Only after an update: `dead-letters redrive --job JOB`.", "附上照片和日志中的 `worker.ends` 报告；仅在更新之后执行 `dead-letters redrive --job JOB`。"),
    "unreadable message": Cure("a queue entry that Celery cannot read: `detail` names its kind, the message holds its bytes", "Find who writes such entries, then `dead-letters discard --reason 'unreadable message'`.", "查明是谁写入了这样的消息，再执行 `dead-letters discard --reason 'unreadable message'`。", redrive=False),
    "unknown task": Cure("a message for a task that this version does not have: `detail` names it", "Update the workers, then `dead-letters redrive --reason 'unknown task'`.", "更新 worker，再执行 `dead-letters redrive --reason 'unknown task'`。"),
    "delivered too often": Cure("RabbitMQ has handed it out 50 times without hearing of an end; no worker lived to see why", "Look for the job id in the workers' logs, then `dead-letters redrive --job JOB`.", "在 worker 日志中查找该任务 ID，再执行 `dead-letters redrive --job JOB`。"),
    "invalid job": Cure("the producer's message cannot be a job: `detail` says why", "Mend the producer, enqueue the photo anew, then `dead-letters discard --reason 'invalid job'`.", "修正生产者并重新提交照片，再执行 `dead-letters discard --reason 'invalid job'`。", redrive=False),
    "job conflict": Cure("the job id stands for another image, etag or flag already", "Enqueue the photo under another job id, then `dead-letters discard --reason 'job conflict'`.", "换一个任务 ID 重新提交照片，再执行 `dead-letters discard --reason 'job conflict'`。", redrive=False),
    "bug": Cure("our own code failed; the log has the traceback under `job.bug`", "Report it with that traceback. After the update: `dead-letters redrive --reason bug`.", "附上日志中的 traceback 报告；更新后执行 `dead-letters redrive --reason bug`。"),
}
OTHER = Cure("a reason that this version does not know", "`dead-letters show JOB` has its `detail`. Cure what it names, then `dead-letters redrive --job JOB`.", "查看 `dead-letters show JOB` 中的 `detail`，处理后执行 `dead-letters redrive --job JOB`。")
# fmt: on


def cure(reason: str, code: str | None) -> Cure:
    """The cure of a dead letter: by its reason if that is one of ours, else by the endpoint's code."""
    ours = REASONS.get(reason) or REASONS.get(reason.partition(":")[0])
    if ours or code is None:
        return ours or OTHER
    known = Code.find(code)
    return CODES.get(known, OTHER) if known else UNKNOWN_CODE


def markdown() -> str:
    """docs/dead-letters.md: one row a code, one row a reason."""
    return "\n".join(
        [
            "# Dead letters: what to do",
            "",
            "Generated from `hmt_pass/cures.py` by `make codes`; do not edit. Commands are those of `python -m worker`;",
            "[operations.md](operations.md#dead-letters) explains them, [codes.md](codes.md) has every code.",
            "",
            "## By business code",
            *_table("code", {**{code.value: cure for code, cure in CODES.items()}, "any other": UNKNOWN_CODE}),
            "",
            "## By reason",
            *_table("reason", {**REASONS, "any other": OTHER}),
            "",
        ]
    )


def _table(first: str, cures: Mapping[str, Cure]) -> Iterator[str]:
    yield f"| {first} | meaning | cure | 处理办法 |"
    yield "|---|---|---|---|"
    for name, found in cures.items():
        yield f"| {name} | {found.meaning} | {found.en} | {found.zh} |"


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())

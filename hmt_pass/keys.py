"""Every Redis key of the system, in one place. Producer and worker share the job's keys."""

HOLD = "hmt_pass:hold"
LAST_HOLD = "hmt_pass:hold:last"
RELEASED_AT = "hmt_pass:hold:released_at"
FAILURES = "hmt_pass:calls:failures"
FAILING = "hmt_pass:calls:failing"
RATE = "hmt_pass:calls:rate"
IN_FLIGHT = "hmt_pass:calls:in_flight"
TALLY = "hmt_pass:books:tally"
SPEND = "hmt_pass:books:spend"
LEDGER = "hmt_pass:books:ledger"
LEDGER_ARCHIVED = "hmt_pass:books:ledger:archived"
LEDGER_KEEPER = "hmt_pass:books:ledger:keeper"
DELAYED = "hmt_pass:delayed"
DELAYED_MESSAGES = "hmt_pass:delayed:messages"
DEAD_LETTERS = "hmt_pass:dead_letters"
DEAD_LETTERS_BY_TIME = "hmt_pass:dead_letters:by_time"
DEAD_LETTERS_GONE = "hmt_pass:dead_letters:gone"
DEAD_LETTERS_TIDIED = "hmt_pass:dead_letters:tidied"
DEAD_LETTERS_EXPIRY = "hmt_pass:dead_letters:expiry"
DEAD_JOBS = "hmt_pass:dead"
REDRIVES = "hmt_pass:redrives"
REDRIVE_RUNS = "hmt_pass:redrives:running"
BOOKED = "hmt_pass:booked"
BOOKED_BY_TIME = "hmt_pass:booked:by_time"
BOOKED_STEADY = "hmt_pass:booked:steady"
CLAIMS_STEADY = "hmt_pass:claims:steady"
FRONTIER = "hmt_pass:open:frontier"
RECONCILER = "hmt_pass:reconciler"
SUSPECT = "hmt_pass:suspect"


def incident(name: str) -> str:
    """Set with expiry: the jobs that died of what opened a hold."""
    return f"hmt_pass:incident:{name}"


def spend(period: str) -> str:
    """Hash with expiry: calls, charges and savings of a day (2026-11-26) or month (2026-11) of the vendor's."""
    return f"{SPEND}:{period}"


def open_jobs(lane: str) -> str:
    """Sorted set: every job of the lane that has no end yet, by the time it was last moved."""
    return f"hmt_pass:open:{lane}"


def redrive(name: str) -> str:
    """Sorted set: the jobs that a named redrive has still to move, by when their dead letters were put."""
    return f"hmt_pass:redrive:{name}"


def redrive_facts(name: str) -> str:
    """Hash: who planned a redrive, when, of what, and how many it has moved and skipped."""
    return f"hmt_pass:redrive:{name}:facts"


def job(job_id: str) -> str:
    """Hash: the state of a job, without any field of a permit."""
    return f"hmt_pass:job:{job_id}"


def claim(job_id: str) -> str:
    """String with expiry: the token of the worker that runs the job."""
    return f"hmt_pass:job:{job_id}:claim"


def sign_of_life(process: str) -> str:
    """String with expiry: the process renewed its claims a moment ago."""
    return f"hmt_pass:claims:life:{process}"


def attempts(job_id: str) -> str:
    """Hash: attempt number -> its record as JSON."""
    return f"hmt_pass:job:{job_id}:attempts"


def receipt(job_id: str) -> str:
    """String: the raw reply that was paid for, until the result is stored."""
    return f"hmt_pass:job:{job_id}:receipt"


def result(job_id: str) -> str:
    """String with expiry: the result document as JSON."""
    return f"hmt_pass:job:{job_id}:result"


def content(sha256: str, flag: int) -> str:
    """String with expiry: where the result of this image content and flag lies."""
    return f"hmt_pass:content:{sha256}:{flag}"


def content_claim(sha256: str, flag: int) -> str:
    """String with expiry: the token of the worker that is having this content and flag read."""
    return f"hmt_pass:content:{sha256}:{flag}:claim"

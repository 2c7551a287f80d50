from hmt_pass import keys


def test_every_key_lies_under_one_prefix_and_none_is_another() -> None:
    fixed = [value for name, value in vars(keys).items() if name.isupper()]
    of_a_job = [build("a") for build in (keys.job, keys.claim, keys.attempts, keys.receipt, keys.result)]
    of_content = [keys.content("0" * 64, 0), keys.content("0" * 64, 3), keys.content_claim("0" * 64, 0)]
    every = [*fixed, *of_a_job, *of_content]
    assert len(every) == len(set(every))
    assert {"hmt_pass"} == {key.split(":")[0] for key in every}


def test_a_jobs_hash_lies_where_the_protocol_says() -> None:
    assert "hmt_pass:job:a" == keys.job("a")

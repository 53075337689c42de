"""What we say of the server's errors."""

from redis.exceptions import ResponseError

from weighbridge.connection import queue_error


def test_a_refused_command_of_a_pipeline_is_not_quoted() -> None:
    quoted = "Command # 1 (SET {weighbridge}:1:payload:ab canary) of pipeline caused error: NOPERM"
    said = str(queue_error(ResponseError(quoted)))
    assert said == "the Redis server refuses a command: NOPERM"


def test_any_other_refusal_is_told_whole() -> None:
    said = str(queue_error(ResponseError("READONLY You can't write")))
    assert said == "the Redis server refuses a command: READONLY You can't write"

"""The messages of the protocol and their fields: the one table that both sides are checked against.

``docs/protocol.md`` describes them in prose.
"""

import re

from .errors import ProtocolError

PROTOCOL = 7
"""Protocol version, raised whenever the meaning of a message changes. Client and server must have the
same."""

FROM_CLIENT = {
    "hello": {"version": str},
    "ping": {},
    "submit": {"job": str, "name": str, "settings": dict, "check_reference": bool},
    "download": {"job": str, "model": str},
    "cancel": {"job": str},
    "retry": {"job": str},
    "order": {"jobs": list},
    "discard": {"job": str},
    "fetch": {"job": str},
    "list": {},
    "status": {},
    "shutdown": {},
}
"""The messages of a client: the fields of each, and their types."""

FROM_SERVER = {
    "welcome": {"version": str, "pid": int},
    "pong": {},
    "event": {
        "job": str,
        "state": str,
        "stage": str,
        "fraction": int | float,
        "seconds_left": int | float | None,
        "message": str,
        "error": dict | None,
        "device": dict | None,
    },
    "preview": {"job": str},
    "result": {"job": str, "report": dict},
    "jobs": {"jobs": list, "more": bool},
    "facts": {
        "version": str,
        "pid": int,
        "worker_pid": int | None,
        "worker_ready": bool,
        "clients": int,
        "run_directory": str,
    },
    "error": {"code": str, "message": str, "fix": str},
}
"""The messages of the server: the fields of each, and their types."""

WITH_ARRAYS = {"submit", "preview", "result"}
"""The messages that may carry array frames."""

_FIELDS = FROM_CLIENT | FROM_SERVER
_JOB_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MAX_NAME = 1024


def is_job_id(value) -> bool:
    """Whether a value is the id of a job, which is 32 hexadecimal digits."""
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


def check(message_type: str, body: dict) -> None:
    """Raises :class:`ProtocolError` unless ``body`` has exactly the fields of this message type, with the
    right types."""
    if message_type not in _FIELDS:
        raise ProtocolError(f"There is no message of the type '{message_type}'.")
    fields = _FIELDS[message_type]
    if set(body) != set(fields):
        odd = sorted(set(body) ^ set(fields))[0]
        raise ProtocolError(
            f"A message '{message_type}' has the fields {', '.join(fields) or 'none'}; '{odd}' is missing or "
            "unknown."
        )
    for name, kind in fields.items():
        value = body[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ProtocolError(f"The field '{name}' of a message '{message_type}' has the wrong type.")
    # A job id becomes the name of a folder, so nothing else may pass.
    job_ids = [body["job"]] if "job" in body else []
    if message_type in FROM_CLIENT:
        job_ids += body.get("jobs", [])
    if not all(is_job_id(job_id) for job_id in job_ids):
        raise ProtocolError("A job's id must be 32 hexadecimal digits.")
    if len(body.get("name", "")) > _MAX_NAME:
        raise ProtocolError(f"A job's name may have {_MAX_NAME} characters at most.")

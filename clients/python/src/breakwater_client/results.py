"""What an execution gave."""

from __future__ import annotations

from typing import Any

import httpx

from .caller import json_of
from .problems import EXECUTION_HEADER


class ExecutionResult(dict[str, Any]):
    """The output's fields, as a plain mapping."""

    def __init__(self, output: Any, execution_id: str | None = None) -> None:
        super().__init__(output if isinstance(output, dict) else {})
        self.output = output
        """The output as it was given, also when it is no object; then the mapping is empty."""
        self.execution_id = execution_id
        """The execution that gave it, for its status and history; nothing for an action that was executed directly."""

    @classmethod
    def of(cls, response: httpx.Response) -> ExecutionResult:
        """From an answer that holds the output at its top level."""
        return cls(json_of(response), response.headers.get(EXECUTION_HEADER))

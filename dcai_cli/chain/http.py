"""A node behind HTTP: one request, its retries, and every foreign exception turned into one of ours.

URLs hold API keys, so nothing but the host ever gets into a message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dcai_cli.chain.errors import RpcError
from dcai_cli.chain.reverts import revert_data
from dcai_cli.config import host_of
from dcai_cli.errors import RpcUnreachable

if TYPE_CHECKING:
    import requests

TIMEOUT_S = 30.0
_RETRY_WAITS_S = (0.25, 0.5, 1.0, 2.0, 4.0)
_BUSY = frozenset({429, 502, 503, 504})


class HttpNode:
    """A node that answers JSON-RPC over HTTP.

    Args:
        url: where it listens; may hold secrets.
        headers: sent along; may hold secrets.
        sleep: waits some seconds between attempts.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        import requests
        from web3 import HTTPProvider

        self.label = host_of(url)
        self._sleep = sleep
        settings: dict[str, Any] = {"timeout": TIMEOUT_S}
        if headers:
            settings["headers"] = {**HTTPProvider.get_request_headers(), **headers}
        # Retries are ours: the library's would also repeat what a node refuses for good.
        self._session = requests.Session()
        self._provider = HTTPProvider(
            url, request_kwargs=settings, session=self._session, exception_retry_configuration=None
        )

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __repr__(self) -> str:
        return f"HttpNode({self.label})"

    def request(self, method: str, *params: Any) -> Any:  # noqa: ANN401 - JSON
        """Answer one JSON-RPC request.

        Busy nodes (429 and the gateways' errors) and cut connections are asked again a few times; every
        method that is used here can be repeated.

        Raises:
            RpcUnreachable: no node answers, or what answers is none.
            RpcError: the node answered with an error.
        """
        for wait_s in _RETRY_WAITS_S:
            try:
                return self._ask(method, params)
            except _Busy as busy:
                self._sleep(busy.wait_s or wait_s)
        try:
            return self._ask(method, params)
        except _Busy as busy:
            raise self._unreachable(busy.why) from None

    def _ask(self, method: str, params: tuple[Any, ...]) -> Any:  # noqa: ANN401 - JSON
        import requests
        from web3.types import RPCEndpoint

        try:
            answer: object = self._provider.make_request(RPCEndpoint(method), list(params))
        except requests.HTTPError as error:
            refused = error.response
        except requests.Timeout:
            raise self._unreachable(f"no answer within {TIMEOUT_S:.0f} seconds") from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            # A refused connection will be refused again; a cut one will not.
            if "Connection aborted" in str(error) or isinstance(
                error, requests.exceptions.ChunkedEncodingError
            ):
                raise _Busy("the connection was cut") from None
            raise self._unreachable("the connection failed") from None
        except (requests.RequestException, OSError) as error:
            raise self._unreachable(type(error).__name__) from None
        except ValueError:
            raise self._unreachable("the answer is not JSON") from None
        else:
            return self._result(answer)
        # Outside of the handler, so that no traceback shows the exception: its message holds the URL.
        return self._result(self._answer_in(refused))

    def _answer_in(self, response: requests.Response | None) -> object:
        """A JSON-RPC answer may come with an HTTP error status."""
        if response is None:
            raise self._unreachable("an HTTP error")
        if response.status_code in _BUSY:
            after = response.headers.get("Retry-After", "")
            wait_s = min(float(after), 30.0) if after.isdigit() else 0.0
            raise _Busy(f"HTTP {response.status_code}", wait_s)
        try:
            answer: object = response.json()
        except ValueError:
            answer = None
        if isinstance(answer, dict) and "error" in answer:
            return answer
        raise self._unreachable(f"HTTP {response.status_code}")

    def _result(self, answer: object) -> Any:  # noqa: ANN401 - JSON
        if not isinstance(answer, Mapping):
            raise self._unreachable("the answer is not JSON-RPC")
        error = answer.get("error")
        if error is not None:
            raise _as_rpc_error(error if isinstance(error, Mapping) else {"message": str(error)})
        if "result" not in answer:
            raise self._unreachable("the answer is not JSON-RPC")
        return answer["result"]

    def _unreachable(self, why: str) -> RpcUnreachable:
        return RpcUnreachable(
            f"The node at {self.label} does not answer as a node should: {why}.",
            hint="Check ETH_RPC_URL or --rpc-url, and that the node runs.",
        )


class _Busy(Exception):
    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.wait_s = wait_s


def _as_rpc_error(error: Mapping[str, Any]) -> RpcError:
    code = error.get("code")
    return RpcError(
        str(error.get("message", "an error without a message"))[:300],
        rpc_code=code if isinstance(code, int) else 0,
        data=revert_data(error),
    )

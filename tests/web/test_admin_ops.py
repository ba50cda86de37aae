"""Admin listener: readiness and metrics."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.ioloop import IOLoop

from gateway.metrics import PrometheusObserver
from gateway.web.admin.app import make_admin_app, make_admin_server
from gateway.web.limits import MAX_BODY, Limits

pytestmark = pytest.mark.gen_test


@pytest.fixture
def checks() -> dict[str, Any]:
    return {"store": "", "gateway": ""}


@pytest.fixture
def app(checks: dict[str, Any], observer: PrometheusObserver) -> web.Application:
    async def ready() -> Mapping[str, str]:
        if "bug" in checks:
            raise ZeroDivisionError
        return checks

    return make_admin_app(ready, observer)


async def get(client: AsyncHTTPClient, url: str, method: str = "GET") -> HTTPResponse:
    return await client.fetch(url, method=method, raise_error=False, allow_nonstandard_methods=True)


async def test_a_gateway_without_trouble_is_ready(http_client: AsyncHTTPClient, base_url: str) -> None:
    response = await get(http_client, f"{base_url}/readyz")
    assert response.code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert orjson.loads(response.body) == {"ready": True, "checks": {"store": "", "gateway": ""}}
    assert (await get(http_client, f"{base_url}/readyz", "HEAD")).body == b""


async def test_a_gateway_that_is_not_ready_names_the_trouble(
    http_client: AsyncHTTPClient, base_url: str, checks: dict[str, Any]
) -> None:
    checks["store"] = "The store is unavailable."
    response = await get(http_client, f"{base_url}/readyz")
    assert response.code == 503
    assert orjson.loads(response.body)["ready"] is False
    assert orjson.loads(response.body)["checks"] == checks


async def test_a_check_that_fails_is_not_ready(
    http_client: AsyncHTTPClient, base_url: str, checks: dict[str, Any]
) -> None:
    checks["bug"] = "!"
    response = await get(http_client, f"{base_url}/readyz")
    assert response.code == 503
    assert orjson.loads(response.body) == {"error": "The gateway can't take signals now."}


async def test_a_check_need_not_be_awaited(http_client: AsyncHTTPClient, base_url: str, http_server: Any) -> None:
    http_server.request_callback = make_admin_app(lambda: {"store": "gone"}, PrometheusObserver())
    assert (await get(http_client, f"{base_url}/readyz")).code == 503


async def test_metrics_are_prometheus_text(
    http_client: AsyncHTTPClient, base_url: str, observer: PrometheusObserver
) -> None:
    observer.signal_accepted("bookshop")
    response = await get(http_client, f"{base_url}/metrics")
    assert response.code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b'cloudsignal_signals_accepted_total{account="bookshop"} 1.0' in response.body


@pytest.mark.parametrize("path", ["/", "/signals/bookshop", "/api/v1/accounts", "/metrics/x"])
async def test_other_admin_paths_are_404(http_client: AsyncHTTPClient, base_url: str, path: str) -> None:
    response = await get(http_client, base_url + path)
    assert (response.code, orjson.loads(response.body)) == (404, {"error": "Nothing here."})


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
async def test_other_admin_methods_are_405(http_client: AsyncHTTPClient, base_url: str, path: str) -> None:
    response = await get(http_client, base_url + path, "DELETE")
    assert (response.code, response.headers["Allow"]) == (405, "GET, HEAD")


async def test_the_admin_listener_has_the_same_limits(io_loop: IOLoop) -> None:
    limits = Limits()
    parameters = make_admin_server(make_admin_app(dict, PrometheusObserver())).conn_params
    assert parameters.header_timeout == limits.idle_timeout
    assert parameters.body_timeout == limits.body_timeout
    assert parameters.max_header_size == limits.head_size
    assert parameters.max_body_size == MAX_BODY

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: also run against the sanitizer build")


# They come first, or one worker would still be at them when the others are done.
LONGEST = ("test_relay_faults", "test_exactly_once", "test_conversations", "test_fairness", "test_moving", "test_imap_clients", "test_evolution", "test_desktop")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture
def folder(tmp_path):
    # The roles' user must be able to reach it.
    for path in [tmp_path, *tmp_path.parents]:
        if path == pathlib.Path("/tmp"):
            break
        path.chmod(0o755)
    return tmp_path


@pytest.fixture
def make_server(folder):
    """make_server(settings=..., store=...) -> a running Server; all are stopped at the end, and must have stopped in order."""
    servers = []

    def make(settings="", store=None, start=True, replace=(), subfolder=None):
        where = folder / (subfolder or f"server{len(servers)}")
        where.mkdir()
        server = harness.Server(where, settings, store, replace)
        servers.append(server)
        return server.start() if start else server

    yield make
    for server in servers:
        server.stop()
        text = server.log_text() if server.log_path.exists() else ""
        assert "AddressSanitizer" not in text and "runtime error" not in text, text[-6000:]


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def postgresql(folder):
    pg = harness.PostgreSQL(folder).start()
    yield pg
    pg.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_server(request, make_server):
    """The same test on both stores."""
    if request.param == "sqlite":
        return make_server()
    return make_server(store=request.getfixturevalue("postgresql").url)

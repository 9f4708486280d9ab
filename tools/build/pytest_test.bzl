"""A test that pytest runs."""

_MAIN = "//tools/testing:pytest_main.py"

def pytest_test(name, srcs, deps, args = [], **kwargs):
    """Declares a py_test that runs the test functions of its sources.

    The test honours Bazel's filter (`--test_filter`), sharding (`shard_count`)
    and XML report: see tools/testing/pytest_main.py.

    Args:
      name: The name of the target.
      srcs: The test files.
      deps: What they import, pytest included.
      args: More arguments for pytest.
      **kwargs: Attributes of py_test: size, tags, data, env, shard_count.
    """
    native.py_test(
        name = name,
        srcs = srcs + [_MAIN],
        main = _MAIN,
        args = ["$(rootpath {})".format(src) for src in srcs] + args,
        deps = deps,
        legacy_create_init = False,
        python_version = "PY3",
        srcs_version = "PY3",
        **kwargs
    )

"""A repository of Python distributions, installed by pip from a lock.

    python_repository(
        name = "python",
        locks = {"cpu": "//third_party/python:requirements-cpu.txt"},
    )

gives one py_library per distribution, `@python//:torch`, and the toolchain
`@python//:toolchain` of the interpreter that installed them.

A distribution's folders are source artifacts of their own, one link each in a
test's runfiles and sandbox: torch alone has 14,000 files. Bazel does not look
inside such folders for changes; an external repository has none.
"""

_WRONG_PYTHON = """
twhin needs Python 3.11 with pip: tried {tried}.
Install it (Debian: apt-get install python3.11 python3-pip) or name it: export TWHIN_PYTHON=/path/to/python3.11
"""

_CHECK = "import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))"

def _find_python(ctx):
    named = ctx.os.environ.get("TWHIN_PYTHON", "")
    candidates = [named] if named else ["python3.11", "python3"]
    for candidate in candidates:
        path = candidate if candidate.startswith("/") else ctx.which(candidate)
        if path and ctx.execute([path, "-c", _CHECK]).return_code == 0:
            return ctx.execute([path, "-c", "import sys; print(sys.executable)"]).stdout.strip()
    fail(_WRONG_PYTHON.format(tried = ", ".join(candidates)))

def _python_repository_impl(ctx):
    lock = ctx.attr.lock
    if not lock:
        variant = ctx.os.environ.get("TWHIN_DEVICE", "cpu")
        locks = {name: label for label, name in ctx.attr.locks.items()}
        if variant not in locks:
            fail("TWHIN_DEVICE: is {}; allowed: {}".format(repr(variant), ", ".join(sorted(locks))))
        lock = locks[variant]
    python = _find_python(ctx)
    installer = ctx.path(ctx.attr._installer)
    result = ctx.execute(
        [python, installer, ctx.path(lock), "site-packages", "BUILD.bazel"],
        timeout = 3600,
        quiet = False,
    )
    if result.return_code != 0:
        fail("installing {} failed:\n{}".format(lock, result.stderr))

python_repository = repository_rule(
    doc = "Installs a lock with pip and makes a py_library of each distribution.",
    implementation = _python_repository_impl,
    attrs = {
        "lock": attr.label(doc = "The lock, where there is one."),
        "locks": attr.label_keyed_string_dict(
            doc = "The locks, with their names; the environment variable TWHIN_DEVICE chooses, default cpu.",
        ),
        "_installer": attr.label(default = "//third_party/python:install.py", allow_single_file = True),
    },
    # Without PATH: who activates an environment need not wait for another install.
    environ = ["TWHIN_DEVICE", "TWHIN_PYTHON"],
)

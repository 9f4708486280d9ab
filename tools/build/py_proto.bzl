"""Python modules of a .proto file."""

PyProtoInfo = provider(
    doc = "The .proto files that a Python proto library stands for.",
    fields = {"protos": "depset of File: the library's own file and its dependencies'."},
)

def _py_proto_impl(ctx):
    proto = ctx.file.proto
    stem = proto.basename[:-len(".proto")]
    root = proto.path[:-len(ctx.label.package + "/" + proto.basename)].rstrip("/")
    if not proto.path.endswith(ctx.label.package + "/" + proto.basename):
        fail("{}: the package is {}, expected the folder of {} below its import root".format(
            ctx.label,
            ctx.label.package,
            proto.short_path,
        ))
    module = ctx.actions.declare_file(stem + "_pb2.py")
    outputs = [module, ctx.actions.declare_file(stem + "_pb2.pyi")]
    modules = [module]
    plugins = ["python", "pyi"]
    if ctx.attr.grpc:
        modules.append(ctx.actions.declare_file(stem + "_pb2_grpc.py"))
        outputs.append(modules[-1])
        plugins.append("grpc_python")
    protos = depset([proto], transitive = [d[PyProtoInfo].protos for d in ctx.attr.deps])
    arguments = ctx.actions.args()
    arguments.add("--proto_path=" + root)
    for plugin in plugins:
        arguments.add("--{}_out={}".format(plugin, ctx.bin_dir.path))
    arguments.add(proto)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [arguments],
        inputs = protos,
        outputs = outputs,
        mnemonic = "PyProto",
        progress_message = "Generating Python of %s" % proto.short_path,
        use_default_shell_env = True,
    )
    libraries = ctx.attr.deps + ctx.attr._runtime + (ctx.attr._grpc_runtime if ctx.attr.grpc else [])
    runfiles = ctx.runfiles(files = outputs)
    for library in libraries:
        runfiles = runfiles.merge(library[DefaultInfo].default_runfiles)
    return [
        DefaultInfo(files = depset(outputs), runfiles = runfiles),
        PyInfo(
            transitive_sources = depset(modules, transitive = [x[PyInfo].transitive_sources for x in libraries]),
            imports = depset(transitive = [x[PyInfo].imports for x in libraries]),
        ),
        PyProtoInfo(protos = protos),
    ]

py_proto = rule(
    doc = """Generates NAME_pb2.py and its stub, and NAME_pb2_grpc.py by choice.

The rule's package is the Python package of the modules and the folder of the
.proto file below its import root: //twhin/v1 for proto/twhin/v1/graph.proto.
protoc is the one in the distribution grpcio-tools, whose version the runtime
matches.""",
    implementation = _py_proto_impl,
    attrs = {
        "proto": attr.label(
            doc = "The .proto file.",
            allow_single_file = [".proto"],
            mandatory = True,
        ),
        "deps": attr.label_list(
            doc = "py_proto targets of the files that it imports.",
            providers = [PyProtoInfo],
        ),
        "grpc": attr.bool(doc = "Whether to generate the service's module too."),
        "_protoc": attr.label(
            default = "//tools/proto:protoc",
            executable = True,
            cfg = "exec",
        ),
        "_runtime": attr.label_list(default = ["//third_party/python:protobuf"]),
        "_grpc_runtime": attr.label_list(default = ["//third_party/python:grpcio"]),
    },
    provides = [PyInfo, PyProtoInfo],
)

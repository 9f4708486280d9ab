# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The methods of `twhin.v1.EmbeddingService` over the bundle being served."""

from collections.abc import Callable
from dataclasses import dataclass

from twhin.errors import BundleError
from twhin.serving.access import Access
from twhin.serving.bundle_description import describe_bundle
from twhin.serving.handlers import MethodHandlers
from twhin.serving.limits import Limits
from twhin.serving.live_bundle import LiveBundle
from twhin.serving.lookup import answer_lookup
from twhin.serving.metrics import ServerMetrics
from twhin.serving.refusal_error import failed_precondition
from twhin.serving.request_threads import RequestThreads
from twhin.serving.retrieve import answer_retrieve
from twhin.serving.score import answer_score
from twhin.v1 import embedding_service_pb2 as pb

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["EmbeddingService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingMethods:
    """Each method takes a request and returns its answer and the version.

    Attributes:
      live: What is served.
      limits: The bounds on requests.
      metrics: Counts rows.
      on_reload: Called after a caller has made this worker switch.
    """

    live: LiveBundle
    limits: Limits
    metrics: ServerMetrics
    on_reload: Callable[[], None]

    def lookup(self, request: pb.LookupRequest) -> tuple[bytes, str]:
        """Answers `Lookup` and each message of `StreamLookup`."""
        served = self.live.get()
        answer = answer_lookup(request, served, self.limits, self.metrics)
        return answer, served.version

    def retrieve(self, request: pb.RetrieveRequest) -> tuple[pb.RetrieveResponse, str]:
        """Answers `Retrieve`."""
        served = self.live.get()
        answer = answer_retrieve(request, served, self.limits, self.metrics)
        return answer, served.version

    def score(self, request: pb.ScoreRequest) -> tuple[pb.ScoreResponse, str]:
        """Answers `Score`."""
        served = self.live.get()
        answer = answer_score(request, served, self.limits, self.metrics)
        return answer, served.version

    def get_bundle(
        self, request: pb.GetBundleRequest
    ) -> tuple[pb.GetBundleResponse, str]:
        """Answers `GetBundle`."""
        del request
        served = self.live.get()
        return describe_bundle(served, self.limits), served.version

    def reload(self, request: pb.ReloadRequest) -> tuple[pb.ReloadResponse, str]:
        """Answers `Reload`.

        Raises:
          RefusalError: FAILED_PRECONDITION: the version cannot be served.
        """
        del request
        try:
            changed = self.live.reload()
        except BundleError as error:
            raise failed_precondition(
                "current: the version that it names cannot be served, "
                f"{self.live.version!r} stays; the server's log has the reason"
            ) from error
        self.on_reload()
        version = self.live.version
        return pb.ReloadResponse(version=version, changed=changed), version


def make_handlers(
    live: LiveBundle,
    *,
    access: Access,
    limits: Limits,
    metrics: ServerMetrics,
    threads: RequestThreads,
    on_reload: Callable[[], None],
) -> MethodHandlers:
    """Returns the handlers of the service.

    Args:
      live: What is served.
      access: Decides who may call.
      limits: The bounds on requests.
      metrics: Counts requests and rows.
      threads: The server's threads.
      on_reload: Called after a caller has asked this worker to reload.
    """
    methods = EmbeddingMethods(
        live=live, limits=limits, metrics=metrics, on_reload=on_reload
    )
    handlers = MethodHandlers(
        SERVICE_NAME, access=access, limits=limits, metrics=metrics, threads=threads
    )
    for add, name in (
        (handlers.add_unary, "Lookup"),
        (handlers.add_stream, "StreamLookup"),
    ):
        add(
            name,
            methods.lookup,
            permission="lookup",
            request_type=pb.LookupRequest,
            serialize=bytes,
        )
    handlers.add_unary(
        "Retrieve",
        methods.retrieve,
        permission="retrieve",
        request_type=pb.RetrieveRequest,
        serialize=pb.RetrieveResponse.SerializeToString,
    )
    handlers.add_unary(
        "Score",
        methods.score,
        permission="retrieve",
        request_type=pb.ScoreRequest,
        serialize=pb.ScoreResponse.SerializeToString,
    )
    handlers.add_unary(
        "GetBundle",
        methods.get_bundle,
        permission="lookup",
        request_type=pb.GetBundleRequest,
        serialize=pb.GetBundleResponse.SerializeToString,
    )
    handlers.add_unary(
        "Reload",
        methods.reload,
        permission="admin",
        request_type=pb.ReloadRequest,
        serialize=pb.ReloadResponse.SerializeToString,
        is_slow=True,
    )
    return handlers

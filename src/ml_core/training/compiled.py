"""torch.compile of the model, with proof that graphs were really compiled."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from ml_core.errors import UserError

log = logging.getLogger("ml_core.training")


class CompiledForward:
    """Calls the model through torch.compile. The model itself stays as it is, and so do the names in its checkpoints.

    graphs: forward graphs compiled so far in this process. torch.compile runs on without one where it can compile
    nothing, and says so nowhere.
    """

    def __init__(self, model: nn.Module) -> None:
        import torch._dynamo as dynamo  # slow to import, and most runs do not compile

        self.graphs = 0
        self._logged = 0
        self._failure = dynamo.exc.BackendCompilerFailed
        self._compile = dynamo.lookup_backend("inductor")
        self._forward = torch.compile(model, backend=self._counted)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """The model's output. Raises UserError in one sentence if compilation fails, as without a C++ compiler."""
        try:
            return self._forward(*arguments, **keywords)
        except self._failure as error:
            cause = error.inner_exception
            reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
            raise UserError(
                f"compile is on, but torch.compile failed ({type(cause).__name__}: {reason}); install a C++ compiler "
                "(g++) if that is what is missing, or use compile: false."
            ) from error

    def require_graph(self) -> None:
        """After a window: raises UserError if nothing was compiled; logs the number of graphs when it grew."""
        if not self.graphs:
            raise UserError(
                "compile is on, but torch.compile made no graph of this model, so that it would run as it is; "
                "use compile: false."
            )
        if self.graphs > self._logged:
            log.info("torch.compile has made %d graphs", self.graphs)
            self._logged = self.graphs

    def _counted(self, graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        """The backend: what torch.compile calls for each graph."""
        made = self._compile(graph, inputs)
        self.graphs += 1
        return made

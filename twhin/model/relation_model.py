# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The parameters of all relations, and what candidates are compared with."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from twhin.model.comparators import make_comparator
from twhin.model.operators import make_operator
from twhin.model.relation_operator import Query, RelationOperator
from twhin.scoring import Comparator, Operator, num_parameters
from twhin.side import Side

_RECIPROCAL = "_reciprocal"


class RelationModel(nn.Module):
    """Scores edges: score = compare(query, candidate) + bias.

    Ranking the rhs, the query is operator_rel(lhs). Ranking the lhs, it is
    operator'_rel(rhs) with parameters of its own where relations are reciprocal,
    and the transposed operator otherwise, so that both sides give an edge the
    same score.

    Reference: Lacroix et al., "Canonical Tensor Decomposition for Knowledge Base
    Completion", arXiv 1806.07297 (reciprocal relations).

    Attributes:
      parameters_by_name: For every operator in use its name, "translation", and
        its [R, P] float32 parameters, R the relations with that operator in
        schema order; with "_reciprocal" behind the name those for ranking the
        lhs.
      comparator: The comparison.
      comparator_kind: Its name.
      reciprocal: Whether ranking the lhs has parameters of its own.
    """

    def __init__(
        self,
        *,
        operators: Sequence[Operator],
        embedding_dim: int,
        comparator: Comparator,
        reciprocal: bool,
        types: Sequence[tuple[str, str]] | None = None,
        seed: int = 0,
    ) -> None:
        """Creates initialised parameters on the CPU.

        Args:
          operators: The operator of each relation, in schema order.
          embedding_dim: D.
          comparator: The comparison.
          reciprocal: Whether ranking the lhs has parameters of its own.
          types: The entity types that each relation joins; None where all join the
            same.
          seed: The seed of random initial values.
        """
        super().__init__()
        self.comparator = make_comparator(comparator)
        self.reciprocal = reciprocal
        self.comparator_kind = comparator
        self._embedding_dim = embedding_dim
        self._kinds = list(dict.fromkeys(operators))
        self._operators: dict[str, RelationOperator] = {
            str(kind): make_operator(kind) for kind in self._kinds
        }
        self.parameters_by_name = nn.ParameterDict()
        generator = torch.Generator().manual_seed(seed)
        for kind in self._kinds:
            operator = self._operators[str(kind)]
            for suffix in ("", _RECIPROCAL) if reciprocal else ("",):
                size = num_parameters(kind, embedding_dim)
                parameters = nn.Parameter(torch.empty(operators.count(kind), size))
                with torch.no_grad():
                    operator.initialize(parameters, generator)
                self.parameters_by_name[str(kind) + suffix] = parameters
        # For each relation the position of its operator in `_kinds`, and its own
        # position among the relations with that operator.
        kind_of = [self._kinds.index(kind) for kind in operators]
        place = [kind_of[:r].count(kind) for r, kind in enumerate(kind_of)]
        # Its row where the parameters of all operators lie one behind the other.
        row = torch.tensor(kind_of).argsort(stable=True).argsort()
        self.register_buffer("_row", row, persistent=False)
        self.register_buffer("_kind_of", torch.tensor(kind_of), persistent=False)
        self.register_buffer("_place", torch.tensor(place), persistent=False)
        is_alternative = None
        if types is not None and len(set(types)) > 1:
            is_alternative = torch.tensor(
                [[mine == other for other in types] for mine in types]
            )
        self.register_buffer("_is_alternative", is_alternative, persistent=False)

    _row: Tensor
    _kind_of: Tensor
    _place: Tensor
    _is_alternative: Tensor | None

    def query(self, side: Side, known: Tensor, rel: Tensor) -> Query:
        """Returns what candidates for a side are compared with.

        Args:
          side: The side that candidates stand on.
          known: [B, D] float32, embeddings of the other side.
          rel: [B] int64, relation indices.
        """
        if len(self._kinds) == 1:
            return self._query_one(self._kinds[0], side, known, self._place[rel])
        vectors = torch.zeros_like(known)
        bias: Tensor | None = None
        for kind, chosen, place in self._by_operator(rel):
            part = self._query_one(kind, side, known[chosen], place)
            vectors = vectors.index_copy(0, chosen, part.vectors)
            if part.bias is not None:
                bias = known.new_zeros(rel.shape) if bias is None else bias
                bias = bias.index_copy(0, chosen, part.bias)
        return Query(vectors=vectors, bias=bias)

    def shifts(self, side: Side) -> Tensor | None:
        """Returns s: all a query does to a known vector is to add s of its relation.

        A bias aside, as `query` may give one. None where operators do more. For
        comparison by dot product or cosine.

        Args:
          side: The side that candidates stand on.

        Returns:
          [R, D] float32, by relation index.
        """
        shifts = []
        for kind in self._kinds:
            parameters = self._parameters_of(kind, side)
            shift = self._operators[str(kind)].shift(parameters, self._embedding_dim)
            if shift is None:
                return None
            shifts.append(shift)
        joined = torch.cat(shifts)[self._row] if len(shifts) > 1 else shifts[0]
        if side is Side.LHS and not self.reciprocal:
            # x + s is compared like x, but for a bias.
            return torch.zeros_like(joined)
        return joined

    def relation_scores(
        self, side: Side, lhs: Tensor, rhs: Tensor, rel: Tensor
    ) -> Tensor:
        """Returns what each edge scores with each relation, [B, R] float32.

        R are all relations; -inf for those between other entity types than the
        edge's.

        Args:
          side: The side that is ranked by such scores.
          lhs: [B, D] float32.
          rhs: [B, D] float32.
          rel: [B] int64, the relations of the edges.
        """
        uses_reciprocal = side is Side.LHS and self.reciprocal
        known, other = (rhs, lhs) if uses_reciprocal else (lhs, rhs)
        parts = [
            self._scores_of_operator(
                self._operators[str(kind)],
                self._parameters_of(kind, side),
                known,
                other,
            )
            for kind in self._kinds
        ]
        scores = torch.cat(parts, dim=1)[:, self._row] if len(parts) > 1 else parts[0]
        if self._is_alternative is None:
            return scores
        return scores.masked_fill(~self._is_alternative[rel], -torch.inf)

    def penalties(
        self,
        lhs: Tensor,
        rhs: Tensor,
        rel: Tensor,
        size: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Returns size(|s|) + size(|t|) + size(|r|) of each edge, [B] float32.

        r are the parameters of the relation; with reciprocal parameters their
        part is the mean of both.

        Args:
          lhs: [B, D] float32, s of each edge.
          rhs: [B, D] float32, t of each edge.
          rel: [B] int64, relation indices.
          size: Maps absolute values, [..., K], to [...].
        """
        total = lhs.new_zeros(rel.shape)
        for kind, chosen, place in self._by_operator(rel):
            operator = self._operators[str(kind)]
            part = size(operator.moduli(lhs[chosen]))
            part = part + size(operator.moduli(rhs[chosen]))
            sets = self._parameter_sets(kind)
            for parameters in sets:
                sizes = size(operator.parameter_moduli(parameters)) / len(sets)
                part = part + sizes[place]
            total = total.index_add(0, chosen, part)
        return total

    def image_squares(self, lhs: Tensor, rhs: Tensor, rel: Tensor) -> Tensor:
        """Returns |operator(s)|^2 + |transposed operator(t)|^2, [B] float32.

        Reciprocal parameters are of operators from t to s; with them the result is
        the mean of both. For comparison by dot product.

        Args:
          lhs: [B, D] float32, s of each edge.
          rhs: [B, D] float32, t of each edge.
          rel: [B] int64, relation indices.
        """
        total = lhs.new_zeros(rel.shape)
        for kind, chosen, place in self._by_operator(rel):
            operator = self._operators[str(kind)]
            source, target = lhs[chosen], rhs[chosen]
            sets = self._parameter_sets(kind)
            for parameters in sets:
                image = operator.apply(source, parameters, place)
                dual = operator.transpose(
                    target, parameters, place, self.comparator_kind
                ).vectors
                part = image.square().sum(-1) + dual.square().sum(-1)
                total = total.index_add(0, chosen, part / len(sets))
                source, target = target, source
        return total

    def _scores_of_operator(
        self,
        operator: RelationOperator,
        parameters: Tensor,
        known: Tensor,
        other: Tensor,
    ) -> Tensor:
        """Returns compare(operator_r(known), other), [B, R], for one operator's R."""

        def squares() -> tuple[Tensor, Tensor]:
            return (
                operator.squared_norms(known, parameters),
                other.square().sum(-1, keepdim=True),
            )

        products = operator.products(known, other, parameters)
        return self.comparator.from_products(products, squares)

    def _by_operator(self, rel: Tensor) -> Iterator[tuple[Operator, Tensor, Tensor]]:
        """Yields operators with their edges, and the place of each one's relation."""
        kind_of = self._kind_of[rel]
        for number, kind in enumerate(self._kinds):
            (chosen,) = torch.nonzero(kind_of == number, as_tuple=True)
            yield kind, chosen, self._place[rel[chosen]]

    def _parameter_sets(self, kind: Operator) -> list[Tensor]:
        """Returns an operator's parameters, and its reciprocal ones where it has any."""
        names = [str(kind), str(kind) + _RECIPROCAL]
        return [self.parameters_by_name[name] for name in names[: 1 + self.reciprocal]]

    def _parameters_of(self, kind: Operator, side: Side) -> Tensor:
        """Returns the parameters of an operator's relations for ranking a side."""
        return self._parameter_sets(kind)[-1 if side is Side.LHS else 0]

    def _query_one(
        self, kind: Operator, side: Side, known: Tensor, place: Tensor
    ) -> Query:
        """Returns the query for edges whose relations have one operator."""
        operator = self._operators[str(kind)]
        parameters = self._parameters_of(kind, side)
        if side is Side.LHS and not self.reciprocal:
            return operator.transpose(known, parameters, place, self.comparator_kind)
        return Query(vectors=operator.apply(known, parameters, place))

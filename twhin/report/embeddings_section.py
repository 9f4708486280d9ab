# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What the vectors look like: lengths, a map, neighbours."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from twhin.page.markup import Content, Markup, element
from twhin.page.numbers import format_count, format_short
from twhin.report.bar_chart import make_histogram
from twhin.report.entity_map import NUM_CLUSTERS, EntityMap
from twhin.report.entity_sample import EntityNames, EntitySample, Floats
from twhin.report.figure import (
    WIDE,
    LegendEntry,
    make_figure,
    make_legend,
    make_picture,
    make_table,
)
from twhin.report.neighbors import NeighborList, WellKnownEntity
from twhin.report.section import Section

_MAX_TYPES = 6
_MAP_HEIGHT = 540


def make_embeddings_section(
    samples: Mapping[str, EntitySample],
    entity_map: EntityMap,
    names: EntityNames,
    neighbors: Sequence[WellKnownEntity],
) -> Section:
    """Returns the section."""
    return Section(
        name="embeddings",
        title="Embeddings",
        about=(
            "The map draws a sample of unit vectors into a plane. By neighbours"
            " (t-SNE), near entities stay near, and distances between far groups mean"
            " nothing. By variance (principal components), it is a straight"
            " projection, which leaves most of the directions out.",
            "Clusters are those of k-means among the same vectors. Neighbours are"
            " given for the entities with the most training edges: the most alike by"
            " cosine, and those that score highest under a relation.",
        ),
        figures=(
            _map(samples, entity_map, names),
            *_norms(samples),
            *_neighbor_tables(neighbors),
        ),
    )


def _map(
    samples: Mapping[str, EntitySample], entity_map: EntityMap, names: EntityNames
) -> Markup:
    """Returns the map with its choices; they work without script."""
    types = list(samples)
    first, second = entity_map.explained
    num = len(entity_map.rows)
    pictures = [
        make_picture(
            f"Map of {num} entities by {way}, of the types {', '.join(types)}",
            WIDE,
            _MAP_HEIGHT,
            _dots(samples, entity_map, places, names),
            class_=f"by-{way}",
        )
        for way, places in (
            ("neighbours", entity_map.neighbor_places),
            ("variance", entity_map.places),
        )
    ]
    num_clusters = int(entity_map.clusters.max()) + 1
    legends = [
        element("div", make_legend(_type_legend(types)), class_="by-type"),
        element("div", make_legend(_cluster_legend(num_clusters)), class_="by-cluster"),
    ]
    choices = element(
        "div",
        _choice("Place by", "place", {"neighbours": True, "variance": False}),
        _choice("Colour by", "colour", {"type": True, "cluster": False}),
        class_="choices",
    )
    figure = make_figure(
        f"A map of {format_count(num)} entities",
        [legends, pictures],
        controls=choices,
        note="Larger dots have more training edges. The two directions of largest"
        f" variance hold {first + second:.0%} of it ({first:.0%} and {second:.0%}).",
    )
    return element("div", figure, class_="map-figure")


def _choice(title: str, name: str, options: Mapping[str, bool]) -> Markup:
    """Returns radio buttons; the option that is true is chosen at first."""
    return element(
        "fieldset",
        element("legend", title),
        [
            element(
                "label",
                element(
                    "input", type="radio", name=name, value=option, checked=is_chosen
                ),
                option,
            )
            for option, is_chosen in options.items()
        ],
    )


def _dots(
    samples: Mapping[str, EntitySample],
    entity_map: EntityMap,
    places: Floats,
    names: EntityNames,
) -> list[Markup]:
    low, high = places.min(axis=0), places.max(axis=0)
    # Equal scales in both directions: distances are distances.
    margin = 10
    scale = min(
        (WIDE - 2 * margin) / max(float(high[0] - low[0]), 1e-9),
        (_MAP_HEIGHT - 2 * margin) / max(float(high[1] - low[1]), 1e-9),
    )
    middle = (low + high) / 2
    dots = []
    for number, sample in enumerate(samples.values()):
        chosen = entity_map.types == number
        rows = entity_map.rows[chosen]
        titles = names(sample.entity_type, rows)
        degrees = sample.degrees[rows].tolist()
        clusters = entity_map.clusters[chosen].tolist()
        for place, title, degree, cluster in zip(
            places[chosen], titles, degrees, clusters, strict=True
        ):
            dots.append(
                element(
                    "circle",
                    class_=f"dot t{number % NUM_CLUSTERS} k{cluster}",
                    cx=WIDE / 2 + float(place[0] - middle[0]) * scale,
                    cy=_MAP_HEIGHT / 2 - float(place[1] - middle[1]) * scale,
                    r=min(2.4 + degree**0.5 / 5, 5.5),
                    data_tip=f"{title}\n{sample.entity_type}, degree {degree}",
                )
            )
    return dots


def _type_legend(types: Sequence[str]) -> list[LegendEntry]:
    return [
        LegendEntry(name=name, ink=str(number % NUM_CLUSTERS), mark="dot")
        for number, name in enumerate(types)
    ]


def _cluster_legend(num_clusters: int) -> list[LegendEntry]:
    return [
        LegendEntry(name=f"cluster {number + 1}", ink=str(number), mark="dot")
        for number in range(num_clusters)
    ]


def _norms(samples: Mapping[str, EntitySample]) -> list[Markup]:
    figures = []
    for sample in list(samples.values())[:_MAX_TYPES]:
        norms = sample.norms
        of = "" if len(norms) == sample.num_entities else f" of {len(norms):,} of them"
        figures.append(
            make_histogram(
                f"Norms of {sample.entity_type}",
                norms,
                x_label="length of the vector",
                note=f"Mean {format_short(float(norms.mean()))}, standard deviation"
                f" {format_short(float(norms.std()))}{of}.",
            )
        )
    return figures


def _neighbor_tables(entities: Sequence[WellKnownEntity]) -> list[Markup]:
    tables = []
    for entity_type, group in groupby(entities, lambda entity: entity.entity_type):
        members = list(group)
        heads = [
            entity_type,
            "degree",
            *(each.sense for each in members[0].lists),
        ]
        rows: list[list[Content]] = [
            [
                element("span", entity.name, class_="id"),
                format_count(entity.degree),
                *(_names(each) for each in entity.lists),
            ]
            for entity in members
        ]
        table = make_table(heads, rows, num_text=len(heads))
        tables.append(make_figure(f"Neighbours of {entity_type}", table))
    return tables


def _names(neighbors: NeighborList) -> Content:
    return [element("div", name, class_="id") for name in neighbors.names]

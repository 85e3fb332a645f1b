"""The generated client against a running server: `.ci/clients` starts one and says where it is, and with which keys."""

import json
import os
import uuid
from http import HTTPStatus
from io import BytesIO

import pytest
from alike_client import AuthenticatedClient, Client
from alike_client.api.events import append_events
from alike_client.api.items import change_items, delete_item, find_items, patch_item, put_item, search_items, similar_items
from alike_client.api.items import item as get_item
from alike_client.api.model import model as get_model
from alike_client.api.recommend import page, recommend, recommend_to_user, scenarios
from alike_client.api.status import metrics, ready
from alike_client.api.users import find_users, forget_user, history
from alike_client.models import (
    Ask,
    Batch,
    Changed,
    ErrorBody,
    EventKind,
    Gone,
    ItemDetail,
    ItemFields,
    ItemFieldsAttributesType0,
    Limit,
    NewEvent,
    PageAsk,
    RankedItems,
    Recommendations,
    Rules,
    RulesFilterType0,
    Search,
    WholePage,
    Written,
)
from alike_client.types import UNSET, File

ADDRESS = os.environ["ALIKE_ADDRESS"]


def client(scope: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=ADDRESS, token=os.environ[f"ALIKE_KEY_{scope}"])


READ, WRITE, ADMIN = client("READ"), client("WRITE"), client("ADMIN")


@pytest.fixture
def new() -> str:
    """An id that nobody has."""
    return f"client-{uuid.uuid4()}"


@pytest.fixture
def known() -> str:
    """A user whom the model was trained on."""
    users = find_users.sync(client=READ, top=1)
    assert users is not None and not isinstance(users, ErrorBody)
    return users.users[0]


def list_of(answer: object) -> Recommendations:
    assert isinstance(answer, Recommendations), answer
    return answer


def test_recommendations_for_a_user_and_for_a_basket(known: str) -> None:
    mine = list_of(recommend_to_user.sync(known, client=READ, top=5, reasons=1))
    assert [item.rank for item in mine.items] == [1, 2, 3, 4, 5]
    assert mine.items[0].reasons, "reasons were asked for"
    basket = [item.item for item in mine.items[:2]]
    theirs = list_of(recommend.sync(client=READ, body=Ask(items=basket, top=3, offset=2)))
    assert [item.rank for item in theirs.items] == [3, 4, 5]
    assert not {item.item for item in theirs.items} & set(basket)


def test_rules_reach_the_server(known: str) -> None:
    category = "comedy"
    only = RulesFilterType0.from_dict({"must": [{"key": "category", "match": {"value": "Comedy"}}]})
    rules = Rules(filter_=only, limits=[Limit(key="title", most=1)])
    comedies = list_of(recommend.sync(client=READ, body=Ask(user=known, top=5, rules=rules)))
    assert comedies.items
    for item in comedies.items:
        detail = get_item.sync(item.item, client=READ)
        assert isinstance(detail, ItemDetail) and category in str(detail.category).lower()


def test_a_page_has_rows_without_an_item_twice(known: str) -> None:
    whole = page.sync(client=READ, body=PageAsk(user=known))
    assert isinstance(whole, WholePage) and whole.known and len(whole.rows) >= 2
    shown = [item.item for row in whole.rows for item in row.items]
    assert len(shown) == len(set(shown))
    offered = scenarios.sync(client=READ)
    assert isinstance(offered, list) and {row.name for row in whole.rows} <= {s.name for s in offered}


def test_an_event_with_a_key_counts_once(new: str) -> None:
    item = list_of(recommend.sync(client=READ, body=Ask(items=[], top=1))).items[0].item
    event = NewEvent(user=new, item=item, kind=EventKind.TAKE, key=f"{new}-1")
    first, again = (append_events.sync(client=WRITE, body=event) for _ in range(2))
    assert isinstance(first, Written) and (first.written, first.repeated) == (1, 0)
    assert isinstance(again, Written) and (again.written, again.repeated) == (0, 1)
    many = Batch(events=[event, NewEvent(user=new, item="no such item", kind=EventKind.VIEW)])
    mixed = append_events.sync(client=WRITE, body=many)
    assert isinstance(mixed, Written) and [(u.index, u.item) for u in mixed.unknown] == [(1, "no such item")]
    past = history.sync(new, client=READ)
    assert past is not None and not isinstance(past, ErrorBody)
    assert [p.item for p in past.items] == [item]
    assert item not in {i.item for i in list_of(recommend_to_user.sync(new, client=READ)).items}
    gone = forget_user.sync_detailed(new, client=ADMIN)
    assert gone.status_code in (HTTPStatus.OK, HTTPStatus.ACCEPTED)
    assert isinstance(recommend_to_user.sync(new, client=READ), ErrorBody)


def test_an_item_is_put_changed_and_removed(new: str) -> None:
    attributes = ItemFieldsAttributesType0.from_dict({"brand": "x", "sizes": ["s", "m"]})
    fields = ItemFields(title="A shirt", category=["Shirts", "Linen"], price=39.0, attributes=attributes)
    made = put_item.sync(new, client=WRITE, body=fields)
    assert isinstance(made, ItemDetail) and made.title == "A shirt" and made.price == 39.0 and not made.trained
    assert made.attributes.additional_properties == {"brand": ["x"], "sizes": ["s", "m"]}
    # What is not named stays; null takes away.
    changed = patch_item.sync(new, client=WRITE, body=ItemFields(stock=0, price=None))
    assert isinstance(changed, ItemDetail) and changed.title == "A shirt" and not changed.listed
    assert changed.price is UNSET
    gone = delete_item.sync(new, client=WRITE)
    assert isinstance(gone, Gone) and gone.item == new
    assert get_item.sync_detailed(new, client=READ).status_code == HTTPStatus.NOT_FOUND


def test_many_items_are_changed_by_lines_of_json(new: str) -> None:
    lines = [{"item": f"{new}-{n}", "put": {"title": f"Number {n}", "price": n}} for n in range(3)]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    changed = change_items.sync(client=WRITE, body=File(payload=BytesIO(body)))
    assert isinstance(changed, Changed) and (changed.changed, changed.new) == (3, 3)
    found = find_items.sync(client=READ, query="Number 2")
    assert found is not None and not isinstance(found, ErrorBody)
    assert f"{new}-2" in {item.item for item in found.items}
    away = "\n".join(json.dumps({"item": line["item"], "delete": True}) for line in lines).encode()
    assert isinstance(change_items.sync(client=WRITE, body=File(payload=BytesIO(away))), Changed)


def test_search_by_features_by_text_and_by_picture() -> None:
    model = get_model.sync(client=READ)
    assert model is not None and not isinstance(model, ErrorBody)
    modality = model.modalities[0]
    near = Search(features=[1.0] * modality.dim, modality=modality.name, top=3)
    found = search_items.sync(client=READ, body=near)
    assert isinstance(found, RankedItems) and len(found.items) == 3
    like = similar_items.sync(found.items[0].item, client=READ, top=2)
    assert isinstance(like, RankedItems) and len(like.items) == 2
    # This server has no encoder, and says so after it has taken the request.
    for body in (Search(text="a film about toys"), File(payload=BytesIO(b"\x89PNG"), mime_type="image/png")):
        refused = search_items.sync_detailed(client=READ, body=body)
        assert isinstance(refused.parsed, ErrorBody) and refused.parsed.error.code == "no_encoder"


def test_errors_are_typed(new: str) -> None:
    unknown = recommend_to_user.sync_detailed(new, client=READ)
    assert unknown.status_code == HTTPStatus.NOT_FOUND
    assert isinstance(unknown.parsed, ErrorBody) and unknown.parsed.error.code == "unknown_user"
    assert new in unknown.parsed.error.message
    beyond = recommend.sync_detailed(client=READ, body=Ask(user="1", top=1001))
    assert beyond.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert isinstance(beyond.parsed, ErrorBody) and beyond.parsed.error.code == "invalid"
    assert "1..=1000" in beyond.parsed.error.message


def test_keys_are_asked_for_and_have_scopes(known: str) -> None:
    without = recommend_to_user.sync_detailed(known, client=Client(base_url=ADDRESS))  # type: ignore[arg-type]
    assert without.status_code == HTTPStatus.UNAUTHORIZED
    assert isinstance(without.parsed, ErrorBody) and without.parsed.error.code == "unauthorized"
    event = NewEvent(user=known, item="1", kind=EventKind.VIEW)
    too_little = append_events.sync_detailed(client=READ, body=event)
    assert too_little.status_code == HTTPStatus.FORBIDDEN
    other_header = AuthenticatedClient(
        base_url=ADDRESS, token=READ.token, prefix="", auth_header_name="X-Api-Key"
    )
    list_of(recommend_to_user.sync(known, client=other_header))


def test_ids_with_any_characters(new: str) -> None:
    item = f"{new}/ä?#%2F 1"
    made = put_item.sync(item, client=WRITE, body=ItemFields(title="odd"))
    assert isinstance(made, ItemDetail) and made.item == item
    assert isinstance(delete_item.sync(item, client=WRITE), Gone)


def test_what_machines_ask() -> None:
    assert ready.sync_detailed(client=Client(base_url=ADDRESS)).status_code == HTTPStatus.OK
    counts = metrics.sync(client=READ)
    assert isinstance(counts, str) and "alike_requests_total" in counts

//! Pages: rows by name, with fallbacks, and no item twice.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Served, is_even, items};
use crate::serve::scenarios::Scenarios;

/// The rows of an answer by name, with their items.
fn rows(page: &Value) -> Vec<(String, Vec<String>)> {
    let rows = page["rows"].as_array().unwrap().iter();
    rows.map(|row| (row["name"].as_str().unwrap().to_string(), items(row))).collect()
}

fn row(page: &Value, name: &str) -> Option<Vec<String>> {
    rows(page).into_iter().find(|row| row.0 == name).map(|row| row.1)
}

async fn counted(served: &Served) {
    served.app.counts.update(&served.app.store).await.unwrap();
}

fn read(text: &str) -> Scenarios {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Scenarios::read(file.path()).unwrap()
}

#[tokio::test]
async fn a_page_has_all_rows_and_no_item_twice() {
    for model in ["bpr", "nsmar+", "alloy", "slim", "popularity"] {
        let served = Served::new(model).await;
        served.event("4", "20", "take").await;
        served.event("4", "21", "view").await;
        served.event("4", "23", "view").await;
        served.event("4", "21", "view").await;
        for user in ["7", "9", "11"] {
            served.event(user, "3", "take").await;
        }
        served.sent("PATCH", "/v1/items/2", json!({"hidden": true})).await;
        counted(&served).await;
        let page = served.posted("/v1/page", json!({"user": "4", "item": "6"})).await;
        assert_eq!((&page["known"], &page["model"]["name"]), (&json!(true), &json!(model)));
        let all: Vec<String> = rows(&page).into_iter().flat_map(|row| row.1).collect();
        let distinct: BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{model}: {page}");
        let history = served.got("/v1/users/4/history?top=100").await;
        for had in items(&history).iter().chain([&"2".to_string(), &"6".to_string()]) {
            assert!(!all.contains(had), "{model}: {had} in {page}");
        }
        // What was looked at last comes first; a view is no event of a history.
        assert_eq!(row(&page, "continue").unwrap(), ["21", "23"]);
        assert_eq!(history["items"][0]["item"], "20");
        assert!(row(&page, "for-you").unwrap().len() > 3, "{model}");
    }
}

#[tokio::test]
async fn rows_are_what_their_kinds_say() {
    let served = Served::new("bpr").await;
    served.event("4", "20", "take").await;
    let one = async |row: &str, more: Value| {
        let mut ask = json!({"user": "4", "rows": [row]});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        served.posted("/v1/page", ask).await
    };
    let page = one("because", json!({})).await;
    assert_eq!(page["rows"][0]["title"], "Because you took Thing 20");
    assert_eq!(page["rows"][0]["from_item"]["item"], "20");
    // Most of what is like it they have already.
    let all = row(&page, "because").unwrap();
    assert!(is_even(&all[0]), "{all:?}");
    let page = one("related", json!({"item": "7"})).await;
    let list = row(&page, "related").unwrap();
    assert!(list[..8].iter().all(|item| !is_even(item)) && !list.contains(&"7".into()), "{list:?}");
    assert!(rows(&one("related", json!({})).await).is_empty(), "there is no item");
    // Nobody takes an odd item with an even one.
    let page = one("bought-together", json!({"item": "7"})).await;
    let list = row(&page, "bought-together").unwrap();
    assert!(list.len() > 8 && list.iter().all(|item| !is_even(item)), "{list:?}");
    let page = one("similar-people", json!({})).await;
    let list = row(&page, "similar-people").unwrap();
    assert!(list[..3].iter().all(|item| is_even(item)), "{list:?}");
    // As many as took them in training; what they take now is trending.
    let popular = row(&one("popular", json!({})).await, "popular").unwrap();
    for n in 0..60 {
        served.event(&format!("p{n}"), &popular[3], "take").await;
    }
    counted(&served).await;
    assert_eq!(row(&one("popular", json!({})).await, "popular").unwrap(), popular);
    // User 4 took item 20, once.
    assert_eq!(row(&one("trending", json!({})).await, "trending").unwrap(), [popular[3].clone()]);
    // Who is forgotten counts no more.
    let request = axum::http::Request::delete("/v1/users/p0").body(axum::body::Body::empty()).unwrap();
    assert_eq!(served.send(request).await.0, 200);
    counted(&served).await;
    let trending = one("trending", json!({})).await;
    assert_eq!(trending["rows"][0]["items"][0]["score"], 59.0);
    // The last that was told of leads; what appears at a time leads by that.
    assert!(rows(&one("new", json!({})).await).is_empty());
    for name in ["n1", "n2"] {
        served.sent("PUT", &format!("/v1/items/{name}"), json!({"title": name})).await;
    }
    served.sent("PATCH", "/v1/items/9", json!({"from": 1000})).await;
    assert_eq!(row(&one("new", json!({})).await, "new").unwrap(), ["9", "n2", "n1"]);
}

#[tokio::test]
async fn a_row_goes_on_where_an_earlier_page_ended() {
    let text = "[[scenarios]]\nname = 'home'\ntitle = 'For you'\nkind = 'for-you'\n\
        [[scenarios]]\nname = 'best'\ntitle = 'Bestsellers'\nkind = 'popular'\nleast = 3\n\
        rules = { pins = [{ item = '29', position = 4 }] }";
    let served = Served::with_app("bpr", |app| app.scenarios = read(text)).await;
    for name in ["home", "best"] {
        let part = async |top: usize, offset: usize| {
            let ask = json!({"user": "4", "rows": [name], "top": top, "offset": offset});
            served.posted("/v1/page", ask).await
        };
        let whole = row(&part(9, 0).await, name).unwrap();
        let mut parts = Vec::new();
        for offset in [0, 3, 6] {
            let page = part(3, offset).await;
            assert_eq!(page["rows"][0]["items"][0]["rank"], offset + 1);
            parts.extend(row(&page, name).unwrap());
        }
        assert_eq!((whole.len(), whole), (9, parts), "{name}");
        assert!(rows(&part(5, 900).await).is_empty());
    }
    for (ask, says) in
        [(json!({"top": 101}), "allowed: 1..=100"), (json!({"offset": 1001}), "allowed: 0..=1000")]
    {
        let (status, body) = served.post("/v1/page", &ask).await;
        assert!(status == 422 && body["error"]["message"].as_str().unwrap().contains(says), "{body}");
    }
}

#[tokio::test]
async fn what_somebody_looked_at_leaves_rows_that_show_the_unseen() {
    let text = "[[scenarios]]\nname = 'home'\ntitle = 'For you'\nkind = 'for-you'\nunseen = true\n\
        [[scenarios]]\nname = 'best'\ntitle = 'Bestsellers'\nkind = 'popular'\nunseen = true\n\
        [[scenarios]]\nname = 'again'\ntitle = 'Continue'\nkind = 'continue'\nunseen = true";
    let served = Served::with_app("bpr", |app| app.scenarios = read(text)).await;
    let one = async |name: &str| {
        row(&served.posted("/v1/page", json!({"user": "4", "rows": [name]})).await, name).unwrap_or_default()
    };
    for name in ["home", "best"] {
        let before = one(name).await;
        served.event("4", &before[0], "view").await;
        let after = one(name).await;
        assert_eq!(after[..before.len() - 1], before[1..], "{name}");
        assert!(one("again").await.contains(&before[0]));
    }
}

#[tokio::test]
async fn unknown_people_get_a_fallback_and_sessions_their_own() {
    let served = Served::new("bpr").await;
    let page = served.posted("/v1/page", json!({"user": "nobody", "rows": ["for-you", "popular"]})).await;
    assert_eq!(page["known"], false);
    let first = &page["rows"][0];
    assert_eq!(
        (&first["name"], &first["filled_by"], &first["kind"]),
        (&json!("for-you"), &json!("popular"), &json!("popular"))
    );
    assert_eq!(first["items"].as_array().unwrap().len(), 12);
    let page =
        served.posted("/v1/page", json!({"items": ["1", "5", "9"], "rows": ["for-you", "because"]})).await;
    let list = row(&page, "for-you").unwrap();
    assert!(list[..4].iter().filter(|item| !is_even(item)).count() >= 3, "{list:?}");
    assert_eq!(page["rows"][1]["from_item"]["item"], "9");
    assert!(!rows(&served.posted("/v1/page", json!({})).await).is_empty());
}

#[tokio::test]
async fn scenarios_of_a_file_have_their_rules() {
    let text = "[[scenarios]]\nname = 'home'\ntitle = 'For you'\nkind = 'for-you'\ntop = 4\nleast = 4\nfallback = ['cheap', 'best']\n\
        rules = { filter = { must = [{ key = 'category', match = { value = 'Odd' } }] } }\n\
        [[scenarios]]\nname = 'cheap'\ntitle = 'Cheap'\nkind = 'popular'\nleast = 2\n\
        rules = { filter = { must = [{ key = 'price', range = { lt = 5 } }] } }\n\
        [[scenarios]]\nname = 'best'\ntitle = 'Bestsellers'\nkind = 'popular'\ntop = 5\n\
        rules = { pins = [{ item = '29', position = 2 }], limits = [{ key = 'brand', most = 1 }] }";
    let served = Served::with_app("bpr", |app| app.scenarios = read(text)).await;
    let names = served.got("/v1/scenarios").await;
    let names: Vec<&str> = names.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["home", "cheap", "best"]);
    let page = served.posted("/v1/page", json!({"user": "4"})).await;
    assert!(row(&page, "home").unwrap().iter().all(|item| !is_even(item)));
    assert_eq!((row(&page, "cheap"), row(&page, "best").unwrap()[1].as_str()), (None, "29"));
    // One cheap item is too few, two are enough.
    served.sent("PATCH", "/v1/items/3", json!({"price": 1})).await;
    let ask = json!({"user": "nobody", "rows": ["home"]});
    assert_eq!(served.posted("/v1/page", ask.clone()).await["rows"][0]["filled_by"], "best");
    served.sent("PATCH", "/v1/items/5", json!({"price": 2})).await;
    let page = served.posted("/v1/page", ask).await;
    assert_eq!(page["rows"][0]["filled_by"], "cheap");
    // A pinned item that goes takes no page with it.
    served.sent("DELETE", "/v1/items/29", json!({})).await;
    let page = served.posted("/v1/page", json!({"user": "4"})).await;
    assert!(!row(&page, "best").unwrap().contains(&"29".to_string()));
    served.sent("PUT", "/v1/items/29", json!({"title": "Thing 29"})).await;
    let lines: Vec<Value> =
        (0..30).map(|n| json!({"item": n.to_string(), "patch": {"attributes": {"brand": n % 3}}})).collect();
    served.lines(&lines).await;
    let page = served.posted("/v1/page", json!({"user": "4", "rows": ["best"]})).await;
    assert_eq!(row(&page, "best").unwrap().len(), 4, "one of each brand, and the pinned one");
    for (ask, says) in [
        (json!({"rows": ["nowhere"]}), "`rows` has nowhere; allowed: home, cheap, best"),
        (json!({"user": "4", "items": []}), "not both"),
        (json!({"item": "nowhere"}), "unknown item `nowhere`"),
        (json!({"rows": vec!["home"; 21]}), "`number of `rows`` is 21"),
    ] {
        let (status, body) = served.post("/v1/page", &ask).await;
        assert!(status >= 400 && body["error"]["message"].as_str().unwrap().contains(says), "{ask}: {body}");
    }
}

//! Recommendations, and how events change them.

use serde_json::{Value, json};

use super::{Served, is_even, items};
use crate::serve::pool::Pool;

/// Items of a user's history as the server tells it, with their kinds.
async fn history(served: &Served, user: &str) -> Vec<(String, String)> {
    let body = served.got(&format!("/v1/users/{user}/history?top=100")).await;
    let one = |i: &Value| (i["item"].as_str().unwrap().to_string(), i["kind"].as_str().unwrap().to_string());
    body["items"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test]
async fn what_somebody_has_is_left_out_unless_it_is_asked_for() {
    let served = Served::new("bpr").await;
    let past = history(&served, "4").await;
    assert!(past.len() > 5 && past.iter().all(|(item, kind)| is_even(item) && kind == "trained"));
    let list = served.list("4", "").await;
    assert_eq!(list.len() + past.len(), 30);
    assert!(past.iter().all(|(item, _)| !list.contains(item)));
    assert_eq!(served.list("4", "&seen=true").await.len(), 30);
    let body = served.got("/v1/users/4/recommendations?top=3").await;
    assert_eq!(items(&body), list[..3]);
    assert_eq!(body["items"][2]["rank"], 3);
    assert_eq!(body["items"][0]["title"], format!("Thing {}", list[0]));
    assert!(body["items"][0]["score"].as_f64() >= body["items"][1]["score"].as_f64());
    assert_eq!((&body["model"]["name"], &body["model"]["version"]), (&json!("bpr"), &json!(1)));
}

#[tokio::test]
async fn events_change_the_next_recommendation() {
    let served = Served::new("bpr").await;
    let list = served.list("4", "").await;
    let (taken, disliked) = (&list[0], &list[1]);
    served.event("4", taken, "take").await;
    let next = served.list("4", "").await;
    assert!(!next.contains(taken) && next.len() == list.len() - 1);
    served.event("4", disliked, "dislike").await;
    assert!(!served.list("4", "").await.contains(disliked));
    // Not even when seen items are asked for, whereas the taken one is then there.
    let all = served.list("4", "&seen=true").await;
    assert!(!all.contains(disliked) && all.contains(taken));
    let past = history(&served, "4").await;
    assert_eq!(past[..2], [(disliked.clone(), "dislike".into()), (taken.clone(), "take".into())]);
    // Both are taken back, and so is something of training.
    served.event("4", taken, "remove").await;
    served.event("4", disliked, "remove").await;
    assert_eq!(served.list("4", "").await, list);
    let trained = history(&served, "4").await[0].0.clone();
    served.event("4", &trained, "remove").await;
    assert!(served.list("4", "").await.contains(&trained));
}

#[tokio::test]
async fn new_people_are_placed_by_what_they_did() {
    for model in ["bpr", "slim", "nsmar+"] {
        let served = Served::new(model).await;
        assert_eq!(served.get("/v1/users/anna/recommendations").await.0, 404, "{model}");
        for item in ["1", "5", "9", "13"] {
            served.event("anna", item, "like").await;
        }
        let list = served.list("anna", "").await;
        let right = list[..5].iter().filter(|i| !is_even(i)).count();
        assert!(right >= 4, "{model}: {list:?}");
        assert!(["1", "5", "9", "13"].iter().all(|i| !list.contains(&i.to_string())));
        // The same without a name.
        let session = json!({ "items": ["1", "5", "9", "13"], "top": 30 });
        assert_eq!(items(&served.posted("/v1/recommendations", session).await), list, "{model}");
    }
}

#[tokio::test]
async fn forgotten_people_are_unknown_again() {
    let served = Served::new("bpr").await;
    served.event("anna/é", "1", "take").await;
    let path = "/v1/users/anna%2F%C3%A9";
    assert_eq!(served.got(&format!("{path}/history")).await["count"], 1);
    assert_eq!(served.got("/v1/users?query=ann").await["users"], json!(["anna/é"]));
    let request = axum::http::Request::delete(path).body(axum::body::Body::empty()).unwrap();
    assert_eq!(served.send(request).await, (200, json!({ "events": 1, "pending": false })));
    let (status, body) = served.get(&format!("{path}/history")).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("unknown_user")));
    assert!(body["error"]["message"].as_str().unwrap().contains("`anna/é`"));
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let served = Served::new("bpr").await;
    let all = served.list("4", "").await;
    let odd = served.list("4", "&category=ODD").await;
    assert!(odd.len() > 10 && odd.iter().all(|i| !is_even(i)));
    let expected: Vec<String> = all.iter().filter(|i| !is_even(i)).cloned().collect();
    assert_eq!(odd, expected, "filtering keeps the order");
    let ask = json!({ "user": "4", "top": 5, "allow": ["3", "7", "11", "nowhere"], "deny": ["7"], "category": "odd" });
    let body = served.posted("/v1/recommendations", ask).await;
    let mut found = items(&body);
    found.sort();
    assert_eq!((found, &body["unknown_items"]), (vec!["11".to_string(), "3".into()], &json!(["nowhere"])));
    let ask = json!({ "user": "4", "allow": [] });
    assert!(items(&served.posted("/v1/recommendations", ask).await).is_empty());
    let ask = json!({ "user": "4", "top": 30, "deny": [all[0]] });
    assert_eq!(items(&served.posted("/v1/recommendations", ask).await), all[1..]);
}

#[tokio::test]
async fn diversity_and_reasons() {
    let served = Served::new("bpr").await;
    let plain = served.list("4", "&seen=true").await;
    let first = |list: Vec<String>| list[..6].to_vec();
    let mixed = first(served.list("4", "&seen=true&diversity=0.9").await);
    assert_eq!(mixed[0], plain[0], "the best stays the best");
    assert!(plain[..6].iter().all(|i| is_even(i)), "{plain:?}");
    assert!(mixed.iter().any(|i| !is_even(i)), "{mixed:?}");
    let body = served.got("/v1/users/4/recommendations?top=3&reasons=2").await;
    let past = history(&served, "4").await;
    for item in body["items"].as_array().unwrap() {
        let reasons = item["reasons"].as_array().unwrap();
        assert!((1..=2).contains(&reasons.len()), "{item}");
        for reason in reasons {
            assert!(past.iter().any(|(i, _)| i == reason["item"].as_str().unwrap()), "{item}");
            assert!(reason["loss"].as_f64().unwrap() > 0.0 && reason["title"].is_string());
        }
    }
}

#[tokio::test]
async fn long_lists_wait_for_one_another_only() {
    let served = Served::with_app("bpr", |app| {
        app.limits.long = 60;
        // As if all its places and those who may wait were taken.
        app.long = Pool::new(0, 0, app.metrics.panics.clone());
    })
    .await;
    let status = |more: &'static str| {
        let served = &served;
        async move { served.get(&format!("/v1/users/4/recommendations?{more}")).await.0 }
    };
    assert_eq!(status("top=30&reasons=10").await, 503);
    assert_eq!(status("top=30&diversity=0.5").await, 503);
    assert_eq!(status("top=2&reasons=10").await, 200);
    assert_eq!(status("top=30").await, 200);
}

#[tokio::test]
async fn events_are_counted_once_and_reported() {
    let served = Served::new("popularity").await;
    let event = |item: &str, key: &str| json!({ "user": "x", "item": item, "kind": "take", "key": key });
    let batch =
        json!({ "events": [event("1", "a"), event("nowhere", "b"), event("2", "a"), event("3", "c")] });
    let done = served.posted("/v1/events", batch).await;
    assert_eq!(done, json!({ "written": 2, "repeated": 1, "unknown": [{ "index": 1, "item": "nowhere" }] }));
    assert_eq!(served.posted("/v1/events", event("1", "a")).await["repeated"], 1);
    assert_eq!(served.got("/v1/users/x/history").await["count"], 2);
    // The newest by the clock of the client counts, not the last to come.
    let past = json!({ "user": "x", "item": "3", "kind": "dislike", "time": 1000 });
    served.posted("/v1/events", past).await;
    assert_eq!(served.got("/v1/users/x/history").await["count"], 2);
    // JSON does not tell 1000 from 1000.0.
    let late = json!({ "user": "y", "item": "3", "kind": "take", "time": 1000.0 });
    served.posted("/v1/events", late).await;
    let (status, body) =
        served.post_text("/v1/events", r#"{"user":"y","item":"3","kind":"take","time":1000.5}"#).await;
    assert_eq!(status, 422, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("1000.5 is not allowed here"), "{body}");
    assert_eq!(
        items(&served.posted("/v1/recommendations", json!({ "user": "y", "top": 5.0 })).await).len(),
        5
    );
    let page = served.get("/metrics").await.1;
    assert!(page.as_str().unwrap().contains("alike_events_total 4"), "{page}");
}

#[tokio::test]
async fn times_that_lie_in_the_future_are_refused_and_later_events_count() {
    const NOW: i64 = 1_700_000_000_000;
    let served = Served::with_app("popularity", |app| app.clock = || NOW).await;
    let event = |kind: &str, time: i64| json!({ "user": "x", "item": "3", "kind": kind, "time": time });
    for time in [253_402_300_799_999, NOW + 5 * 60_000 + 1] {
        let (status, body) = served.post("/v1/events", &event("take", time)).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert!(status == 422 && message.contains("at most five minutes ahead"), "{status}: {message}");
    }
    // A client's clock may be some minutes ahead; what it sends next counts all the same.
    served.posted("/v1/events", event("take", NOW + 5 * 60_000)).await;
    assert_eq!(served.got("/v1/users/x/history").await["count"], 1);
    served.event("x", "3", "dislike").await;
    let past = served.got("/v1/users/x/history").await;
    assert_eq!((&past["count"], &past["items"][0]["kind"]), (&json!(0), &json!("dislike")));
}

#[tokio::test]
async fn people_like_somebody() {
    let served = Served::new("bpr").await;
    let body = served.got("/v1/users/4/similar?top=6").await;
    let users: Vec<&str> =
        body["users"].as_array().unwrap().iter().map(|u| u["user"].as_str().unwrap()).collect();
    assert!(users.len() == 6 && !users.contains(&"4"));
    assert!(users.iter().filter(|u| is_even(u)).count() >= 5, "{users:?}");
    let (status, body) = Served::new("popularity").await.get("/v1/users/4/similar").await;
    assert_eq!((status, &body["error"]["code"]), (422, &json!("invalid")));
}

#[tokio::test]
async fn of_whom_nothing_is_known_gets_what_suits_most_people() {
    let served = Served::new("bpr").await;
    let body = served.posted("/v1/recommendations", json!({ "items": [], "top": 5 })).await;
    let found = items(&body);
    assert_eq!(found.len(), 5);
    let scores: Vec<f64> =
        body["items"].as_array().unwrap().iter().map(|i| i["score"].as_f64().unwrap()).collect();
    assert!(scores[0] > scores[4], "{scores:?}");
}

//! Tests on the people who come: arms, interleaved lists, and what came of them.

use std::collections::BTreeSet;

use axum::http::Request;
use serde_json::{Value, json};

use super::{Served, is_even, items};
use crate::serve::scenarios::Scenarios;
use crate::serve::trials::Trials;

const TESTS: &str = "[[tests]]\nname = 'home'\n[[tests.arms]]\nname = 'now'\n[[tests.arms]]\nname = 'odd'\n\
    rules = { filter = { must = [{ key = 'category', match = { value = 'Odd' } }] } }\n\
    rows = { for-you = 'popular' }\n\
    [[tests]]\nname = 'mixed'\nkind = 'interleaving'\n[[tests.arms]]\nname = 'now'\n[[tests.arms]]\nname = 'odd'\n\
    rules = { filter = { must = [{ key = 'category', match = { value = 'Odd' } }] } }\n\
    [[tests]]\nname = 'few'\n[[tests.arms]]\nname = 'a'\nshare = 0\n[[tests.arms]]\nname = 'b'\nshare = 0";

async fn served() -> Served {
    let trials = Trials::parse(TESTS, &Scenarios::default(), false).unwrap();
    Served::with_app("bpr", |app| app.trials = trials).await
}

async fn asked(served: &Served, user: &str, test: &str) -> Value {
    served.posted("/v1/recommendations", json!({"user": user, "test": test, "top": 5})).await
}

#[tokio::test]
async fn people_have_the_list_of_their_arm_and_its_outcome_counts_once() {
    let served = served().await;
    let mut arms = Vec::new();
    for user in 0..20 {
        let user = user.to_string();
        let body = asked(&served, &user, "home").await;
        let arm = body["test"]["arm"].as_str().unwrap().to_string();
        assert_eq!(body["test"]["name"], "home");
        // One arm has a filter; in the other, those who take even items get such.
        let only_odd = items(&body).iter().all(|item| !is_even(item));
        assert!(only_odd == (arm == "odd") || !is_even(&user), "{user}: {body}");
        let same = served.got(&format!("/v1/users/{user}/recommendations?top=5&test=home")).await;
        assert_eq!((items(&same), &same["test"]["arm"]), (items(&body), &json!(arm)));
        arms.push(arm);
    }
    let of = |arm: &str| arms.iter().filter(|a| *a == arm).count();
    assert!(of("now") > 3 && of("odd") > 3, "{arms:?}");
    // Nobody took anything since; what is looked at or taken back is not hoped for.
    served.event("0", "21", "view").await;
    served.event("1", "21", "dislike").await;
    let before = served.got("/v1/tests").await;
    let users = |report: &Value| -> Vec<u64> {
        report["tests"][0]["arms"].as_array().unwrap().iter().map(|a| a["users"].as_u64().unwrap()).collect()
    };
    assert_eq!(users(&before), [of("now") as u64, of("odd") as u64]);
    assert_eq!(before["tests"][0]["arms"][0]["conversions"], 0);
    assert_eq!(before["tests"][0]["outcome"], json!(["take", "like"]));
    let odd = arms.iter().position(|arm| arm == "odd").unwrap().to_string();
    for item in ["21", "23"] {
        served.event(&odd, item, "take").await;
    }
    let stranger = "nobody was shown anything";
    served.event(stranger, "21", "take").await;
    let report = served.got("/v1/tests").await;
    let arm = &report["tests"][0]["arms"][1];
    assert_eq!((&arm["name"], &arm["conversions"]), (&json!("odd"), &json!(1)));
    let rate = arm["rate"].as_f64().unwrap();
    assert!((rate - 1.0 / of("odd") as f64).abs() < 1e-12);
    let interval: Vec<f64> =
        arm["interval"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!(interval[0] < rate && rate < interval[1], "{report}");
    let difference = &report["tests"][0]["differences"][0];
    assert_eq!((&difference["arm"], &difference["verdict"]), (&json!("odd"), &json!("open")));
    assert_eq!(report["tests"][2]["arms"][0]["users"], 0);
    assert_eq!(report["tests"][2]["arms"][0]["rate"], Value::Null);
    // What people were shown is no event of theirs: nobody is known by it, and nobody's history has it.
    let other = if odd == "7" { "8" } else { "7" };
    let history = served.got(&format!("/v1/users/{other}/history?top=100")).await;
    assert!(history["items"].as_array().unwrap().iter().all(|i| i["kind"] == "trained"), "{history}");
    served.app.counts.update(&served.app.store).await.unwrap();
    assert_eq!(served.app.counts.events(), 5);
}

#[tokio::test]
async fn pages_take_part_and_who_is_outside_sees_what_is_usual() {
    let served = served().await;
    let mut filled = BTreeSet::new();
    for user in 0..12 {
        let ask = json!({"user": user.to_string(), "test": "home", "rows": ["for-you"]});
        let page = served.posted("/v1/page", ask).await;
        let row = &page["rows"][0];
        assert_eq!(row["name"], "for-you", "the place stays what it is");
        filled.insert((page["test"]["arm"].to_string(), row["kind"].to_string()));
    }
    let pairs = [("\"now\"", "\"for-you\""), ("\"odd\"", "\"popular\"")];
    assert_eq!(filled, pairs.map(|(a, b)| (a.to_string(), b.to_string())).into());
    // Someone new is shown a page too, and stays new.
    let page = served.posted("/v1/page", json!({"user": "ada", "test": "home"})).await;
    assert_eq!(page["known"], false);
    assert!(page["test"]["arm"].is_string());
    assert_eq!(served.posted("/v1/page", json!({"user": "ada", "test": "home"})).await["known"], false);
    let body = asked(&served, "4", "few").await;
    assert_eq!(body["test"], json!({"name": "few", "arm": null}));
    let report = served.got("/v1/tests").await;
    let shown = |test: usize| -> u64 {
        let arms = report["tests"][test]["arms"].as_array().unwrap();
        arms.iter().map(|a| a["users"].as_u64().unwrap()).sum()
    };
    assert_eq!((shown(0), shown(2)), (13, 0));
    // Who is forgotten was shown nothing.
    let forget = Request::delete("/v1/users/ada").body(axum::body::Body::empty()).unwrap();
    assert_eq!(served.send(forget).await.0, 200);
    let report = served.got("/v1/tests").await;
    let arms = report["tests"][0]["arms"].as_array().unwrap();
    assert_eq!(arms.iter().map(|a| a["users"].as_u64().unwrap()).sum::<u64>(), 12);
}

#[tokio::test]
async fn interleaved_lists_credit_the_arm_whose_item_is_taken() {
    let served = served().await;
    let body = asked(&served, "4", "mixed").await;
    let list = items(&body);
    assert_eq!((list.len(), &body["test"]["arm"]), (5, &Value::Null));
    // User 4 takes even items, and one arm has odd ones only.
    let odd = list.iter().filter(|item| !is_even(item)).count();
    assert!((2..=3).contains(&odd), "{list:?}");
    assert_eq!(items(&asked(&served, "4", "mixed").await), list, "the same for an hour");
    let later = json!({"user": "4", "test": "mixed", "top": 2, "offset": 3});
    let later = served.posted("/v1/recommendations", later).await;
    assert_eq!((items(&later), &later["items"][0]["rank"]), (list[3..].to_vec(), &json!(4)));
    let took = list.iter().find(|item| !is_even(item)).unwrap();
    served.event("4", took, "take").await;
    // What was not in the list is nobody's.
    served.event("4", "29", "like").await;
    let report = served.got("/v1/tests").await;
    let mixed = &report["tests"][1];
    assert_eq!(mixed["arms"][0]["conversions"], 0, "{mixed}");
    assert_eq!((&mixed["arms"][1]["conversions"], &mixed["arms"][1]["users"]), (&json!(1), &json!(1)));
    let preference = &mixed["preference"];
    assert_eq!(
        (&preference["first"], &preference["second"], &preference["share"]),
        (&json!(0), &json!(1), &json!(1.0))
    );
    assert!(mixed.get("differences").is_none());
}

#[tokio::test]
async fn what_is_no_test_is_refused() {
    let served = served().await;
    for (path, ask, says) in [
        (
            "/v1/recommendations",
            json!({"user": "4", "test": "away"}),
            "`test` is away; allowed: home, mixed, few",
        ),
        ("/v1/recommendations", json!({"items": ["4"], "test": "home"}), "`test` wants a `user`"),
        ("/v1/recommendations", json!({"user": "4", "items": ["4"], "test": "mixed"}), "not both"),
        ("/v1/page", json!({"test": "home"}), "`test` wants a `user`"),
        ("/v1/page", json!({"user": "4", "test": "mixed"}), "`test` is of interleaved lists"),
        ("/v1/events", json!({"user": "4", "item": "3", "kind": "shown"}), "unknown variant `shown`"),
    ] {
        let (status, body) = served.post(path, &ask).await;
        assert!(status == 422 && body["error"]["message"].as_str().unwrap().contains(says), "{ask}: {body}");
    }
    let none = Served::new("popularity").await;
    assert_eq!(none.got("/v1/tests").await, json!({"tests": []}));
    let (status, body) = none.post("/v1/recommendations", &json!({"user": "4", "test": "x"})).await;
    assert!(status == 422 && body.to_string().contains("--tests FILE.toml"), "{body}");
}

//! Filters, boosts, limits, pins and pages of lists.

use serde_json::{Value, json};

use super::{Served, is_even, items};

/// A server whose even items cost their number and are of brand a, b or c; the odd ones have neither.
async fn shop() -> Served {
    let served = Served::new("bpr").await;
    let one = |n: usize| {
        let brand = ["a", "b", "c"][n / 2 % 3];
        let fields = json!({"price": n, "attributes": {"brand": brand, "sizes": ["s", n.is_multiple_of(4)]}});
        json!({"item": n.to_string(), "patch": fields})
    };
    let lines: Vec<Value> = (0..30).step_by(2).map(one).collect();
    assert_eq!(served.lines(&lines).await.0, 200);
    served
}

async fn ranked(served: &Served, rules: Value) -> Vec<String> {
    let ask = json!({"user": "4", "top": 30, "exclude_seen": false, "rules": rules});
    items(&served.posted("/v1/recommendations", ask).await)
}

#[tokio::test]
async fn filters_keep_the_order_of_what_they_let_through() {
    let served = shop().await;
    let all = ranked(&served, json!({})).await;
    let number = |i: &String| i.parse::<usize>().unwrap();
    let brand = |i: &String| ["a", "b", "c"][number(i) / 2 % 3];
    let check = async |filter: Value, right: &dyn Fn(&String) -> bool| {
        let wanted: Vec<String> = all.iter().filter(|i| right(i)).cloned().collect();
        // Twice: made, and kept.
        for _ in 0..2 {
            assert_eq!(ranked(&served, json!({ "filter": filter })).await, wanted, "{filter}");
        }
    };
    let cheap = json!({"key": "price", "range": {"lt": 10}});
    let of = |brands: Value| json!({"key": "brand", "match": {"any": brands}});
    check(json!({"must": [cheap, of(json!(["a", "b"]))]}), &|i| {
        is_even(i) && number(i) < 10 && brand(i) != "c"
    })
    .await;
    check(json!({"must_not": cheap}), &|i| !is_even(i) || number(i) >= 10).await;
    check(json!({"should": [of(json!(["a"])), {"has_id": ["7"]}]}), &|i| {
        is_even(i) && brand(i) == "a" || i == "7"
    })
    .await;
    check(json!({"must": {"is_empty": {"key": "price"}}}), &|i| !is_even(i)).await;
    check(json!({"must": {"key": "sizes", "match": {"value": true}}}), &|i| number(i) % 4 == 0).await;
    check(json!({"must": {"key": "category", "match": {"value": "Odd"}}}), &|i| !is_even(i)).await;
    check(json!({"must": {"key": "nothing", "match": {"value": 1}}}), &|_| false).await;
    // A kept filter follows what changes.
    served.sent("PATCH", "/v1/items/2", json!({"price": 11})).await;
    let cheap = ranked(&served, json!({"filter": {"must": [cheap]}})).await;
    assert!(!cheap.contains(&"2".into()) && cheap.len() == 4, "{cheap:?}");
    let wrong = json!({"user": "4", "rules": {"filter": {"must": [{"key": "price"}]}}});
    let (status, body) = served.post("/v1/recommendations", &wrong).await;
    let text = body["error"]["message"].as_str().unwrap();
    assert!(status == 422 && text.contains("`filter.must[0]` is no condition"), "{text}");
}

#[tokio::test]
async fn boosts_lift_and_sink_and_leave_the_rest_in_order() {
    let served = shop().await;
    let all = ranked(&served, json!({})).await;
    let brand = json!({"must": {"key": "brand", "match": {"value": "c"}}});
    let is_c = |i: &String| is_even(i) && i.parse::<usize>().unwrap() / 2 % 3 == 2;
    let boosted = |weight: f64| {
        let rules = json!({"boosts": [{"filter": brand, "weight": weight}]});
        let served = &served;
        async move { ranked(served, rules).await }
    };
    assert_eq!(boosted(0.0).await, all);
    let (first, others): (Vec<_>, Vec<_>) = all.iter().cloned().partition(&is_c);
    assert_eq!(boosted(3.0).await, [first.clone(), others.clone()].concat());
    assert_eq!(boosted(-3.0).await, [others.clone(), first.clone()].concat());
    let some = boosted(0.2).await;
    assert_ne!(some, all);
    assert_eq!(some.iter().filter(|i| is_c(i)).cloned().collect::<Vec<_>>(), first);
    // A short list is the beginning of the long one.
    let ask = json!({"user": "4", "top": 5, "exclude_seen": false,
        "rules": {"boosts": [{"filter": brand, "weight": 0.2}]}});
    assert_eq!(items(&served.posted("/v1/recommendations", ask).await), some[..5]);
    // Two that overlap add up.
    let cheap = json!({"must": {"key": "price", "range": {"lte": 10}}});
    let rules = json!({"boosts": [{"filter": brand, "weight": 2}, {"filter": cheap, "weight": 1.5}]});
    let list = ranked(&served, rules).await;
    let both = |i: &String| is_c(i) && i.parse::<usize>().unwrap() <= 10;
    let lead = all.iter().filter(|i| both(i)).count();
    assert!(lead > 0 && list[..lead].iter().all(both), "{list:?}");
}

#[tokio::test]
async fn no_more_of_a_kind_than_allowed_and_pins_in_their_places() {
    let served = shop().await;
    let all = ranked(&served, json!({})).await;
    let list = ranked(&served, json!({"limits": [{"key": "brand", "most": 2}]})).await;
    let brand = |i: &String| ["a", "b", "c"][i.parse::<usize>().unwrap() / 2 % 3];
    for name in ["a", "b", "c"] {
        let best: Vec<&String> = all.iter().filter(|i| is_even(i) && brand(i) == name).take(2).collect();
        let kept: Vec<&String> = list.iter().filter(|i| is_even(i) && brand(i) == name).collect();
        assert_eq!(kept, best);
    }
    assert_eq!(list.len(), 15 + 6);
    let pins = json!({"pins": [{"item": all[20], "position": 1}, {"item": all[0], "position": 3}]});
    let list = ranked(&served, pins.clone()).await;
    assert_eq!([&list[0], &list[1], &list[2]], [&all[20], &all[1], &all[0]]);
    assert_eq!(list.len(), 30);
    served.sent("PATCH", &format!("/v1/items/{}", all[20]), json!({"stock": 0})).await;
    let list = ranked(&served, pins).await;
    assert!(!list.contains(&all[20]) && list[2] == all[0], "{list:?}");
    // One that is not there is passed over, and named.
    let pins = json!({"user": "4", "rules": {"pins": [{"item": "nowhere", "position": 1}]}});
    let body = served.posted("/v1/recommendations", pins).await;
    assert_eq!(body["unknown_items"], json!(["nowhere"]));
    for (rules, says) in [
        (json!({"pins": [{"item": "1", "position": 0}]}), "`position` is 0"),
        (json!({"limits": [{"key": "brand", "most": 0}]}), "`most` is 0"),
        (json!({"boosts": [{"filter": {}, "weight": 101}]}), "`weight` is 101"),
        (json!({"boost": []}), "unknown field `boost`"),
    ] {
        let (status, body) = served.post("/v1/recommendations", &json!({"user": "4", "rules": rules})).await;
        let text = body["error"]["message"].as_str().unwrap();
        assert!(status >= 400 && text.contains(says), "{rules}: {body}");
    }
}

#[tokio::test]
async fn a_mixed_list_is_as_long_as_limits_let_it() {
    let served = shop().await;
    let rules = json!({"limits": [{"key": "brand", "most": 2}], "filter": {"must": {"key": "price", "range": {"gte": 0}}}});
    let ask = |top: usize| json!({"user": "4", "top": top, "exclude_seen": false, "diversity": 0.3, "rules": rules});
    for top in [3, 6, 20] {
        let list = items(&served.posted("/v1/recommendations", ask(top)).await);
        assert_eq!(list.len(), top.min(6), "{list:?}");
    }
}

#[tokio::test]
async fn pages_of_a_list_are_its_parts() {
    let served = shop().await;
    let rules = json!({"boosts": [{"filter": {"must": {"key": "brand", "match": {"value": "c"}}}, "weight": 0.3}],
        "limits": [{"key": "brand", "most": 3}], "pins": [{"item": "3", "position": 9}, {"item": "5", "position": 1}]});
    for rules in [json!({}), rules] {
        let all = ranked(&served, rules.clone()).await;
        let mut pages = Vec::new();
        for offset in (0..30).step_by(7) {
            let ask = json!({"user": "4", "top": 7, "offset": offset, "exclude_seen": false, "rules": rules});
            let body = served.posted("/v1/recommendations", ask).await;
            let list = items(&body);
            if let Some(first) = body["items"].get(0) {
                assert_eq!(first["rank"], offset + 1);
            }
            pages.extend(list);
        }
        assert_eq!(pages, all);
    }
    let (status, _) =
        served.post("/v1/recommendations", &json!({"user": "4", "top": 500, "offset": 501})).await;
    assert_eq!(status, 422);
}

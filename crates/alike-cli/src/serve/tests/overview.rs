//! What there is to filter by, how much there is, and lists of many people in one request.

use serde_json::{Value, json};

use super::{Served, is_even, items};

#[tokio::test]
async fn attributes_are_counted_as_items_are_now() {
    let served = Served::new("bpr").await;
    let find = |body: &Value, key: &str| {
        body["attributes"].as_array().unwrap().iter().find(|a| a["key"] == key).cloned()
    };
    let before = served.got("/v1/attributes").await;
    let category = find(&before, "category").unwrap();
    let values = category["values"].as_array().unwrap();
    // All, Even and Odd.
    assert_eq!(
        (&category["distinct"], values.len(), &values[0]["items"]),
        (&json!(3), 3, &category["items"])
    );
    assert!(find(&before, "price").is_none() && find(&before, "description").is_none());
    let lines: Vec<Value> = (0..10)
        .map(|n: usize| {
            let attributes = json!({"brand": if n.is_multiple_of(2) { "a" } else { "b" }, "sizes": ["s", "m"]});
            json!({"item": n.to_string(), "patch": {"price": n, "description": "long", "attributes": attributes}})
        })
        .collect();
    served.lines(&lines).await;
    served.sent("DELETE", "/v1/items/9", json!({})).await;
    served.sent("PUT", "/v1/items/new", json!({"title": "New", "attributes": {"brand": "a"}})).await;
    // What was counted before is good for a while; another server counts at once.
    let fresh = Served::open(served.files.clone(), crate::serve::index::IndexChoice::Exact).await;
    fresh.app.sync_all().await.unwrap();
    let body = fresh.got("/v1/attributes").await;
    let brand = find(&body, "brand").unwrap();
    let wanted = json!([{"value": "a", "items": 6}, {"value": "b", "items": 4}]);
    assert_eq!((&brand["values"], &brand["items"], &brand["range"]), (&wanted, &json!(10), &Value::Null));
    let price = find(&body, "price").unwrap();
    assert_eq!((&price["range"], &price["distinct"]), (&json!({"min": 0.0, "max": 8.0}), &json!(9)));
    assert_eq!(find(&body, "sizes").unwrap()["values"][0]["items"], 9);
    assert!(find(&body, "description").is_none());
    let one = fresh.got("/v1/items/3").await;
    assert_eq!((&one["description"], one["attributes"].get("description")), (&json!("long"), None));
}

#[tokio::test]
async fn the_overview_counts_what_is_there() {
    let served = Served::new("bpr").await;
    let first = served.got("/v1/overview").await;
    let (users, all) =
        (first["users"]["trained"].as_u64().unwrap(), first["items"]["trained"].as_u64().unwrap());
    let interactions = first["interactions"].as_u64().unwrap();
    let density = first["density"].as_f64().unwrap();
    assert!((density - interactions as f64 / (users * all) as f64).abs() < 1e-12 && interactions > 0);
    assert_eq!((&first["users"]["new"], &first["events"]["total"]), (&json!(0), &json!(0)));
    served.event("4", "21", "take").await;
    served.event("new person", "21", "view").await;
    served.sent("PUT", "/v1/items/x", json!({"title": "X"})).await;
    served.sent("PUT", "/v1/items/y", json!({"title": "Y", "stock": 0})).await;
    served.sent("DELETE", "/v1/items/3", json!({})).await;
    served.sent("PATCH", "/v1/items/5", json!({"hidden": true})).await;
    served.app.counts.update(&served.app.store).await.unwrap();
    let body = served.got("/v1/overview").await;
    let counts = &body["items"];
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!(
        (count("catalogue"), count("new"), count("listed"), count("hidden")),
        (all + 1, 2, all - 1, 2)
    );
    assert_eq!((&body["users"]["new"], &body["events"]["total"]), (&json!(1), &json!(2)));
    let days = body["events"]["days"].as_array().unwrap();
    assert_eq!((days.len(), &days[29]["events"], &days[29]["users"]), (30, &json!(2), &json!(2)));
    assert!(
        days[28]["day"].as_str() < days[29]["day"].as_str() && days[29]["day"].as_str().unwrap().len() == 10
    );
    let takers = served.got("/v1/items/4/users?top=3").await;
    let names = takers["users"].as_array().unwrap();
    assert!(names.len() == 3 && takers["count"].as_u64().unwrap() > 3, "{takers}");
    assert!(names.iter().all(|name| is_even(name.as_str().unwrap())), "{takers}");
    assert_eq!(served.got("/v1/items/x/users").await["count"], 0);
    assert_eq!(served.get("/v1/items/nowhere/users").await.0, 404);
}

#[tokio::test]
async fn lists_of_many_people_are_those_of_each() {
    let served = Served::new("bpr").await;
    served.event("anna", "20", "take").await;
    let users: Vec<String> =
        (0..20).map(|n| n.to_string()).chain(["anna", "nobody"].map(String::from)).collect();
    let rules = json!({"filter": {"must": {"key": "category", "match": {"value": "Odd"}}}});
    for list in [json!({"top": 5}), json!({"top": 4, "reasons": 1, "rules": rules, "deny": ["7", "away"]})] {
        let body = served.posted("/v1/recommendations/batch", json!({"users": users, "list": list})).await;
        let lists = body["lists"].as_array().unwrap();
        assert_eq!(lists.len(), users.len());
        for (user, of_many) in users.iter().zip(lists) {
            assert_eq!(of_many["user"], json!(user));
            let mut ask = list.clone();
            match user.as_str() {
                "nobody" => ask["items"] = json!([]),
                user => ask["user"] = json!(user),
            }
            let alone = served.posted("/v1/recommendations", ask).await;
            assert_eq!(of_many["items"], alone["items"], "{user}");
            assert_eq!(of_many["known"], json!(user != "nobody"));
        }
        assert_eq!(body.get("unknown_items").is_some(), list.get("deny").is_some());
    }
    assert_eq!(
        items(&served.posted("/v1/recommendations/batch", json!({"users": ["4"]})).await["lists"][0]).len(),
        10
    );
    for (ask, says) in [
        (json!({"users": []}), "`number of `users`` is 0"),
        (json!({"users": [""]}), "`user` has 0 characters"),
        (json!({"users": ["4"], "list": {"user": "4"}}), "`list` has user, items or test"),
        (json!({"users": vec!["4"; 1000], "list": {"top": 30}}), "allowed: 1..=20000"),
        (json!({"users": ["4"], "list": {"top": 0}}), "allowed: 1..="),
        (json!({"list": {}}), "missing field `users`"),
    ] {
        let (status, body) = served.post("/v1/recommendations/batch", &ask).await;
        assert!(status == 422 && body["error"]["message"].as_str().unwrap().contains(says), "{ask}: {body}");
    }
}

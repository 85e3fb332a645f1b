//! Items that change while the server runs: hidden, sold out, timed, new, gone.

use std::sync::Arc;

use alike::recommend::Recommender;
use serde_json::{Value, json};

use super::{Served, is_even, items, train};
use crate::serve::encoder::{Encoded, Encoder};
use crate::serve::index::IndexChoice;

/// The features of an item of the small data set.
fn features(served: &Served, item: &str) -> Vec<f32> {
    let model = served.app.main.current();
    let data = &model.recommender.run().data;
    let (own, at) = (&data.features[0], data.items.get(item).unwrap() as usize);
    own.values()[at * own.dim..][..own.dim].to_vec()
}

/// Everywhere that items are listed: whether `item` is there.
async fn listed(served: &Served, item: &str) -> Vec<bool> {
    let lists = [
        "/v1/users/4/recommendations?top=40&seen=true",
        "/v1/users/5/recommendations?top=40&seen=true&diversity=0.5&reasons=1",
        "/v1/users/4/recommendations?top=40&seen=true&category=all",
        "/v1/items/6/similar?top=40",
        "/v1/items?top=40",
    ];
    let mut found = Vec::new();
    for path in lists {
        found.push(items(&served.got(path).await).contains(&item.to_string()));
    }
    let near = served.posted(
        "/v1/items/search",
        json!({"modality": "text", "features": features(served, "6"), "top": 40}),
    );
    found.push(items(&near.await).contains(&item.to_string()));
    found
}

#[tokio::test]
async fn what_is_hidden_sold_out_or_not_yet_there_is_in_no_list() {
    for model in ["bpr", "slim", "popularity", "nsmar+", "alloy"] {
        let served = Served::with_app(model, |app| app.clock = || 1_000_000).await;
        let there = |found: Vec<bool>| found.iter().all(|&f| f);
        if model == "popularity" {
            // It has no vectors to say what is like what.
            served.sent("PATCH", "/v1/items/8", json!({"hidden": true})).await;
            assert!(!served.list("4", "&seen=true").await.contains(&"8".into()));
            continue;
        }
        assert!(there(listed(&served, "8").await), "{model}");
        for (off, on) in [
            (json!({"hidden": true}), json!({"hidden": false})),
            (json!({"stock": 0}), json!({"stock": 7})),
            (json!({"from": 1_000_001}), json!({"from": 1_000_000})),
            (json!({"until": 1_000_000}), json!({"until": null})),
        ] {
            let body = served.sent("PATCH", "/v1/items/8", off.clone()).await;
            assert_eq!((&body["listed"], &body["trained"]), (&json!(false), &json!(true)), "{off}");
            assert_eq!(body["title"], "Thing 8", "the catalogue goes on to count");
            let found = listed(&served, "8").await;
            assert!(found.iter().all(|&f| !f), "{model} {off}: {found:?}");
            served.sent("PATCH", "/v1/items/8", on).await;
            assert!(there(listed(&served, "8").await), "{model} {off}");
        }
        served.sent("DELETE", "/v1/items/8", json!({})).await;
        assert!(listed(&served, "8").await.iter().all(|&f| !f), "{model}");
        assert_eq!(served.get("/v1/items/8").await.0, 404);
        assert_eq!(served.asked("PATCH", "/v1/items/8", json!({"stock": 3})).await.0, 404);
        let body = served.sent("PUT", "/v1/items/8", json!({"title": "Eight", "category": "All"})).await;
        assert_eq!(
            (&body["title"], &body["image"], &body["category"]),
            (&json!("Eight"), &json!(null), &json!("All"))
        );
        assert!(there(listed(&served, "8").await), "{model}");
    }
}

#[tokio::test]
async fn time_passes_without_a_change() {
    use std::sync::atomic::{AtomicI64, Ordering};
    static NOW: AtomicI64 = AtomicI64::new(0);
    let served = Served::with_app("bpr", |app| app.clock = || NOW.load(Ordering::SeqCst)).await;
    served.sent("PATCH", "/v1/items/8", json!({"from": 10, "until": 20})).await;
    for (now, there) in [(0, false), (9, false), (10, true), (19, true), (20, false)] {
        NOW.store(now, Ordering::SeqCst);
        assert_eq!(served.list("4", "&seen=true").await.contains(&"8".into()), there, "{now}");
    }
    // Another item changes between the time and the next list.
    served.sent("PATCH", "/v1/items/8", json!({"from": 30, "until": null})).await;
    assert!(!served.list("4", "&seen=true").await.contains(&"8".into()));
    NOW.store(35, Ordering::SeqCst);
    served.sent("PATCH", "/v1/items/9", json!({"price": 1})).await;
    assert!(served.list("4", "&seen=true").await.contains(&"8".into()));
}

#[tokio::test]
async fn a_new_item_is_recommended_by_its_content_at_once() {
    for model in ["bpr", "slim", "nsmar+", "alloy"] {
        let served = Served::new(model).await;
        assert_eq!(served.asked("PATCH", "/v1/items/new", json!({"price": 3})).await.0, 404);
        let like = features(&served, "8");
        let body = served.sent(
            "PUT",
            "/v1/items/new",
            json!({
                "title": "Brand new", "category": ["All", "Even"], "price": 3.5, "features": {"text": like},
                "attributes": {"brand": "x"},
            }),
        );
        let body = body.await;
        let known = |name: &str| body[name].clone();
        assert_eq!(
            (known("trained"), known("recommendable"), known("price")),
            (json!(false), json!(true), json!(3.5))
        );
        assert_eq!(body["attributes"], json!({"brand": ["x"]}));
        assert!(listed(&served, "new").await[..3].iter().all(|&f| f), "{model}");
        // Among those who take what is like it, it stands above what is not.
        let list = served.list("4", "&seen=true").await;
        let place = |id: &str| list.iter().position(|i| i == id).unwrap();
        let odd = list.iter().filter(|i| *i != "new" && !is_even(i)).map(|i| place(i));
        let above = odd.filter(|&at| at > place("new")).count();
        assert!(above >= 12, "{model}: {above} of 15 below it: {list:?}");
        assert_eq!(items(&served.got("/v1/items?query=brand%20n").await), ["new"]);
        assert!(items(&served.got("/v1/items/new/similar?top=3").await).contains(&"8".into()));
        // Events about it count, and take it out of the list.
        served.event("4", "new", "take").await;
        assert!(!served.list("4", "").await.contains(&"new".into()));
        let history = served.got("/v1/users/4/history").await;
        assert_eq!(history["items"][0]["title"], "Brand new");
        served.event("anna", "new", "like").await;
        assert_eq!(
            served.got("/v1/users/anna/recommendations?top=3").await["items"].as_array().unwrap().len(),
            3
        );
        served.sent("PATCH", "/v1/items/new", json!({"stock": 0})).await;
        assert!(!served.list("5", "&seen=true").await.contains(&"new".into()));
    }
}

/// Texts that hold a number are the item of that number, and so are pictures.
struct ByNumber(Vec<Vec<f32>>);

impl Encoder for ByNumber {
    fn takes(&self) -> (bool, bool) {
        (true, true)
    }

    fn text(&self, text: &str) -> alike::Result<Encoded> {
        let number = text.split(' ').find_map(|word| word.parse::<usize>().ok());
        let row = number.and_then(|n| self.0.get(n));
        let row = row.ok_or_else(|| alike::Error::Data(format!("`{text}` has no number")))?;
        Ok(Encoded { modality: "text".into(), features: row.clone() })
    }

    fn image(&self, bytes: &[u8]) -> alike::Result<Encoded> {
        self.text(&String::from_utf8_lossy(bytes))
    }
}

#[tokio::test]
async fn texts_and_pictures_of_new_items_are_encoded() {
    let served = Served::with_app("nsmar+", |app| {
        let model = app.main.current();
        let own = &model.recommender.run().data.features[0];
        let rows = own.values().chunks(own.dim).map(<[f32]>::to_vec).collect();
        app.encoder = Some(Arc::new(ByNumber(rows)));
    })
    .await;
    let body = served.sent("PUT", "/v1/items/a", json!({"title": "As 8", "description": "is"})).await;
    assert_eq!(body["recommendable"], true);
    let body = served.sent("PUT", "/v1/items/b", json!({"title": "Nothing like it"})).await;
    assert_eq!(body["recommendable"], false);
    let list = served.list("4", "&seen=true").await;
    assert!(list.contains(&"a".into()) && !list.contains(&"b".into()));
    // Another text, another place.
    let between = |body: &Value| items(body)[0].clone();
    assert_eq!(between(&served.got("/v1/items/a/similar").await), "8");
    served.sent("PATCH", "/v1/items/a", json!({"title": "As 9"})).await;
    assert_eq!(between(&served.got("/v1/items/a/similar").await), "9");
    // A picture in the catalogue's folder, and none outside of it.
    std::fs::write(served.files.path("pictures/new.png"), b"7").unwrap();
    let outside = served.files.path("x").parent().unwrap().with_extension("png");
    std::fs::write(&outside, b"7").unwrap();
    let away = format!("../{}", outside.file_name().unwrap().to_str().unwrap());
    for (image, placed) in [(away.as_str(), false), ("pictures/none.png", false), ("pictures/new.png", true)]
    {
        let body = served.sent("PATCH", "/v1/items/b", json!({"image": image})).await;
        assert_eq!(body["recommendable"], placed, "{image}");
    }
    std::fs::remove_file(outside).unwrap();
    assert_eq!(between(&served.got("/v1/items/b/similar").await), "7");
}

#[tokio::test]
async fn many_items_are_changed_all_or_none() {
    let served = Served::new("bpr").await;
    let good = [
        json!({"item": "n1", "put": {"title": "One"}}),
        json!({"item": "n1", "patch": {"price": 2}}),
        json!({"item": "8", "patch": {"stock": 0}}),
        json!({"item": "9", "delete": true}),
    ];
    assert_eq!(served.lines(&good).await, (200, json!({"changed": 3, "new": 1})));
    assert_eq!(served.got("/v1/items/n1").await["price"], 2.0);
    let list = served.list("4", "&seen=true").await;
    assert!(list.len() == 28 && !list.contains(&"8".into()) && !list.contains(&"9".into()));
    for (line, says) in [
        (json!({"item": "9", "patch": {"price": 1}}), "line 2: unknown item `9`; allowed: put"),
        (json!({"item": "nowhere", "patch": {}}), "line 2: unknown item `nowhere`; allowed: put"),
        (json!({"item": "10", "put": {}, "delete": true}), "line 2: one of put, patch"),
        (json!({"item": "10", "patch": {"price": "x"}}), "line 2: invalid type"),
        (json!({"item": "", "delete": true}), "line 2: `item` has 0 characters"),
        (json!({"item": "10", "remove": true}), "line 2: unknown field `remove`"),
        (json!([1]), "line 2: "),
    ] {
        let (status, body) =
            served.lines(&[json!({"item": "10", "patch": {"hidden": true}}), line.clone()]).await;
        let text = body["error"]["message"].as_str().unwrap();
        assert!(status == 422 && text.contains(says), "{line}: {body}");
    }
    assert_eq!(served.got("/v1/items/10").await["listed"], true);
    assert_eq!(served.lines(&[]).await.0, 422);
    assert_eq!(served.post("/v1/items", &json!({"item": "10", "delete": true})).await.0, 415);
    let many = vec![json!({"item": "10", "patch": {}}); 10_001];
    assert_eq!(served.lines(&many).await.0, 422);
}

#[tokio::test]
async fn what_is_said_of_an_item_outlives_the_server_and_the_model() {
    let served = Served::trained("bpr", 2, |_| ()).await;
    served.sent("PATCH", "/v1/items/8", json!({"hidden": true})).await;
    let put = json!({"title": "New", "features": {"text": features(&served, "6")}});
    served.sent("PUT", "/v1/items/new", put).await;
    let right = |list: Vec<String>| !list.contains(&"8".into()) && list.contains(&"new".into());
    assert!(right(served.list("4", "&seen=true").await));
    // Another server of the same store hears of it, and this one of what is said there.
    let other = Served::open(served.files.clone(), IndexChoice::Exact).await;
    other.app.sync_all().await.unwrap();
    other.app.place_all().await;
    assert!(right(other.list("4", "&seen=true").await));
    other.sent("PATCH", "/v1/items/10", json!({"hidden": true})).await;
    served.app.sync_all().await.unwrap();
    assert!(!served.list("4", "&seen=true").await.contains(&"10".into()));
    // So does a newer checkpoint before it answers.
    let (data, run) = (served.files.path("data"), served.files.path("run"));
    tokio::task::spawn_blocking(move || train(&data, &run, "bpr", 40)).await.unwrap();
    assert_eq!(served.posted("/v1/model/reload", json!({})).await["changed"], true);
    let list = served.list("4", "&seen=true").await;
    assert!(right(list.clone()) && !list.contains(&"10".into()), "{list:?}");
}

#[tokio::test]
async fn items_that_are_no_items_are_refused() {
    let served = Served::new("bpr").await;
    for (body, says) in [
        (json!({"titel": "x"}), "unknown field `titel`"),
        (json!({"stock": -1}), "`stock` is -1; allowed: 0 and more"),
        (json!({"attributes": {"stock": 1}}), "`attributes.stock` cannot be the name"),
        (json!({"features": {"text": []}}), "finite values"),
    ] {
        for method in ["PUT", "PATCH"] {
            let (status, answer) = served.asked(method, "/v1/items/8", body.clone()).await;
            let text = answer["error"]["message"].as_str().unwrap();
            assert!(status == 422 && text.contains(says), "{method} {body}: {answer}");
        }
    }
    let twice = r#"{"price": 1, "price": 2}"#;
    let request = axum::http::Request::put("/v1/items/8").header("content-type", "application/json");
    let (status, _) = served.send(request.body(axum::body::Body::from(twice)).unwrap()).await;
    assert_eq!(status, 422);
    let long = format!("/v1/items/{}", "x".repeat(257));
    assert_eq!(served.asked("PUT", &long, json!({})).await.0, 422);
    for wrong in [json!({"text": [1, 2]}), json!({"sound": [1, 2]})] {
        let (status, body) = served.asked("PUT", "/v1/items/odd", json!({ "features": wrong })).await;
        let text = body["error"]["message"].as_str().unwrap();
        assert!(status == 422 && text.contains("has 2 values; allowed: text (6)"), "{body}");
    }
    // Many small changes do not add up to a large item.
    let many = |from: usize| {
        let names = (from..from + 60).map(|n| (format!("a{n}"), json!(n)));
        json!({"attributes": names.collect::<serde_json::Map<_, _>>()})
    };
    assert_eq!(served.asked("PATCH", "/v1/items/8", many(0)).await.0, 200);
    assert_eq!(served.asked("PATCH", "/v1/items/8", many(60)).await.0, 422);
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn replicas_over_postgres_see_each_others_items_in_order() {
    use crate::serve::store::{ItemChange, Options, Store, StoreAddress};
    let Some(cluster) = super::cluster::Cluster::named() else { return };
    let place = StoreAddress::Url(cluster.database("items"));
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(Arc::new(Store::open(&place, Options::default()).await.unwrap()));
    }
    let write = |store: Arc<Store>, of: usize| async move {
        for n in 0..100 {
            let fields = json!({"price": n}).as_object().unwrap().clone();
            let change = if n % 3 == 0 { ItemChange::Put(fields) } else { ItemChange::Patch(fields) };
            store.change_items(vec![(format!("{of}-{}", n % 10), change)]).await.unwrap();
        }
    };
    let reader = stores[0].clone();
    // Anybody who reads on from the newest number has missed nothing.
    let read = async move {
        let mut seen = std::collections::BTreeMap::new();
        let mut last = 0;
        for _ in 0..400 {
            for row in reader.items_after(last).await.unwrap() {
                assert!(row.seq > last);
                last = row.seq;
                seen.insert(row.item, row.record.unwrap().fields["price"].clone());
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        (seen, last)
    };
    let (_, _, (mut seen, last)) =
        tokio::join!(write(stores[0].clone(), 0), write(stores[1].clone(), 1), read);
    for row in stores[1].items_after(last).await.unwrap() {
        seen.insert(row.item, row.record.unwrap().fields["price"].clone());
    }
    let wanted = (0..2).flat_map(|of| (0..10).map(move |n| (format!("{of}-{n}"), json!(90 + n))));
    assert_eq!(seen, wanted.collect());
}

/// The library's side of a new item.
#[tokio::test]
async fn a_new_item_scores_between_those_that_it_is_like() {
    let served = Served::new("slim").await;
    let recommender = Recommender::open(&served.files.path("run")).unwrap();
    let placed = recommender.place_item(&[("text", &features(&served, "8"))]).unwrap();
    assert!(placed.row.is_empty(), "weights between items are no vectors");
    let vectors = recommender.vectors(&[recommender.history_of(4)]).unwrap();
    let score = recommender.score_placed(&vectors[0], &placed);
    let wanted: f32 = placed.between.iter().map(|&(i, s)| s * recommender.score(&vectors[0], i)).sum();
    assert!((score - wanted).abs() < 1e-6 && score > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_a_catalogue_for_the_next_preparation() {
    use alike::data::{Dataset, ItemColumns, PrepareOptions, SplitKind, prepare};
    let served = Served::new("bpr").await;
    let one = |n: usize| {
        json!({"item": n.to_string(), "put": {"title": format!("Now {n}"), "category": ["A", "B"], "price": n,
            "attributes": {"sizes": ["s", n], "brand": "x"}}})
    };
    let mut lines: Vec<Value> = (0..30).map(one).collect();
    lines.push(json!({"item": "7", "delete": true}));
    assert_eq!(served.lines(&lines).await.0, 200);
    let place = super::place(&served.files);
    let table = tokio::task::spawn_blocking(move || crate::serve::store::export_items(&place)).await.unwrap();
    let table = table.ok().flatten().unwrap_or_else(|| panic!("the store has items"));
    let attributes = ["price", "sizes"].map(|name| (name.to_string(), name.to_string())).into();
    let options = PrepareOptions {
        items: Some(table.path().to_path_buf()),
        item_columns: ItemColumns { attributes, ..ItemColumns::default() },
        split: SplitKind::Label,
        ..PrepareOptions::new(served.files.path("log.inter"), served.files.path("again"))
    };
    prepare(&options).unwrap();
    let data = Dataset::open(&served.files.path("again")).unwrap();
    let item = |name: &str| data.items.get(name).unwrap();
    assert_eq!((data.title(item("9")), data.catalogue.category(item("9"))), (Some("Now 9"), Some("A, B")));
    assert_eq!(data.catalogue.attribute(item("9"), "price"), Some("9"));
    assert_eq!(data.catalogue.attribute(item("9"), "sizes"), Some("[\"s\",9]"));
    assert_eq!((data.title(item("7")), data.catalogue.attribute(item("7"), "price")), (None, None));
    // Over a catalogue: what is said counts, what is not is as it was.
    served.sent("PATCH", "/v1/items/3", json!({"title": "Renamed", "category": null})).await;
    let lines: Vec<Value> = (0..30)
        .filter(|n| ![3, 7].contains(n))
        .map(|n| json!({"item": n.to_string(), "delete": true}))
        .collect();
    assert_eq!(served.lines(&lines).await.0, 200);
    served.sent("PUT", "/v1/items/4", json!({"price": 44})).await;
    let place = super::place(&served.files);
    let table = tokio::task::spawn_blocking(move || crate::serve::store::export_items(&place)).await.unwrap();
    let table = table.ok().flatten().unwrap_or_else(|| panic!("the store has items"));
    let over = PrepareOptions {
        items: Some(served.files.path("items.jsonl")),
        items_over: vec![table.path().to_path_buf()],
        item_columns: ItemColumns {
            attributes: vec![("kind".into(), "genres".into())],
            ..ItemColumns::default()
        },
        out: served.files.path("over"),
        ..options
    };
    let report = prepare(&over).unwrap();
    let data = Dataset::open(&served.files.path("over")).unwrap();
    let said = |name: &str| {
        let item = data.items.get(name).unwrap();
        (data.title(item), data.catalogue.category(item), data.catalogue.attribute(item, "kind"))
    };
    // What is taken away in the store is that of the catalogue again.
    assert_eq!((said("3").0, said("3").1.is_some(), said("3").1), (Some("Renamed"), true, said("5").1));
    assert_eq!(
        (said("4").0, said("4").1 == said("3").1, said("4").2.is_some()),
        (Some("Thing 4"), false, true)
    );
    assert!(!report.notes.iter().any(|note| note.contains("repeat")), "{:?}", report.notes);
}

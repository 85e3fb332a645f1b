//! Items: found by title, by features, by an encoder; and what machines ask.

use std::sync::Arc;

use alike::Error;
use alike::data::{Dataset, PrepareOptions, prepare};
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;
use tower::ServiceExt;

use super::{Served, is_even, items};
use crate::serve::encoder::{Encoded, Encoder, SavedEncoders};
use crate::serve::keys::Keys;
use crate::serve::pool::Pool;

/// An encoder for tests: a text is the id of an item whose features it stands for, a picture says whether it
/// is even.
struct Known(Vec<Vec<f32>>);

impl Encoder for Known {
    fn takes(&self) -> (bool, bool) {
        (true, true)
    }

    fn text(&self, text: &str) -> alike::Result<Encoded> {
        let row = text.parse::<usize>().ok().and_then(|i| self.0.get(i));
        let unknown = || Error::Data(format!("`{text}` is no item; allowed: 0..{}", self.0.len()));
        let features = row.ok_or_else(unknown)?;
        Ok(Encoded { modality: "text".into(), features: features.clone() })
    }

    fn image(&self, bytes: &[u8]) -> alike::Result<Encoded> {
        assert!(bytes != b"a bug", "a picture that the encoder was not made for");
        if bytes == b"a failure" {
            return Err(Error::format("/models/clip.onnx", "ONNX Runtime: no memory"));
        }
        self.text(std::str::from_utf8(bytes).map_err(|e| Error::Data(e.to_string()))?)
    }
}

#[tokio::test]
async fn titles_are_searched() {
    let served = Served::new("popularity").await;
    assert_eq!(items(&served.got("/v1/items?query=thing%2012").await), ["12"]);
    assert_eq!(items(&served.got("/v1/items?query=hing&top=3").await), ["0", "1", "2"]);
    assert!(items(&served.got("/v1/items?query=nothing").await).is_empty());
    assert_eq!(served.got("/v1/users?query=1").await["users"].as_array().unwrap().len(), 10);
    assert_eq!(served.got("/v1/users?query=39").await, json!({ "trained": 40, "users": ["39"] }));
}

#[tokio::test]
async fn items_like_an_item() {
    for model in ["bpr", "slim", "nsmar+"] {
        let served = Served::new(model).await;
        let list = items(&served.got("/v1/items/6/similar?top=4").await);
        assert!(!list.contains(&"6".into()) && list.iter().all(|i| is_even(i)), "{model}: {list:?}");
    }
}

#[tokio::test]
async fn things_that_are_brought_are_placed_by_features() {
    let served = Served::new("bpr").await;
    let model = served.app.main.current();
    let data = &model.recommender.run().data.features[0];
    let row = |i: usize| data.values()[i * data.dim..(i + 1) * data.dim].to_vec();
    let by_features =
        |i| served.posted("/v1/items/search", json!({ "features": row(i), "modality": "text", "top": 3 }));
    assert_eq!(items(&by_features(11).await)[0], "11");
    for (kind, body) in [("application/json", "{\"text\": \"red shoes\"}"), ("image/png", "bytes")] {
        let request = Request::post("/v1/items/search").header(header::CONTENT_TYPE, kind);
        let (status, answer) = served.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!((status, &answer["error"]["code"]), (422, &json!("no_encoder")));
    }
}

#[tokio::test]
async fn an_encoder_is_used_where_there_is_one() {
    let encoder = |app: &mut crate::serve::state::App| {
        let model = app.main.current();
        let data = &model.recommender.run().data.features[0];
        let rows = data.values().chunks(data.dim).map(<[f32]>::to_vec).collect();
        app.encoder = Some(Arc::new(Known(rows)));
    };
    let served = Served::with_app("popularity", encoder).await;
    let body = served.posted("/v1/items/search", json!({ "text": "7", "top": 1 })).await;
    assert_eq!(items(&body), ["7"]);
    let (status, body) = served.post("/v1/items/search", &json!({ "text": "red shoes" })).await;
    assert_eq!((status, &body["error"]["message"]), (422, &json!("`red shoes` is no item; allowed: 0..30")));
    let picture = |bytes: &'static str| {
        let request = Request::post("/v1/items/search?top=1").header(header::CONTENT_TYPE, "image/jpeg");
        request.body(Body::from(bytes)).unwrap()
    };
    let (status, body) = served.send(picture("9")).await;
    assert_eq!((status, items(&body)), (200, vec!["9".to_string()]));
    // What fails on the server's side is not the client's fault, and its files are not the client's concern.
    let (status, body) = served.send(picture("a failure")).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!("internal")));
    assert!(!body.to_string().contains("clip.onnx"), "{body}");
    // A panic is an error of one request, counted, and the next one is served.
    let (status, body) = served.send(picture("a bug")).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!("internal")));
    let page = served.get("/metrics").await.1;
    assert!(page.as_str().unwrap().contains("alike_panics_total 1"), "{page}");
    assert_eq!(served.send(picture("9")).await.0, 200);
}

#[tokio::test]
async fn pictures_wait_in_a_line_of_their_own() {
    let served = Served::with_app("popularity", |app| {
        app.encoder = Some(Arc::new(Known(vec![vec![1.0; 6]])));
        app.pictures = Pool::new(0, 0, app.metrics.panics.clone());
    })
    .await;
    let picture = Request::post("/v1/items/search").header(header::CONTENT_TYPE, "image/png");
    let (status, body) = served.send(picture.body(Body::from("0")).unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("busy")));
    assert_eq!(served.post("/v1/items/search", &json!({ "text": "0" })).await.0, 200);
}

#[tokio::test]
async fn what_the_server_says_of_itself() {
    let served = Served::new("bpr").await;
    let model = served.got("/v1/model").await;
    assert_eq!((&model["name"], &model["users"], &model["items"]), (&json!("bpr"), &json!(40), &json!(30)));
    assert_eq!(model["modalities"], json!([{ "name": "text", "dim": 6 }]));
    assert_eq!(model["categories"], json!(["all", "even", "odd"]));
    let log = served.got("/v1/model/log").await;
    assert!(log.as_array().unwrap().len() > 10 && log[9]["epoch"] == 10);
    served.list("4", "").await;
    let page = served.get("/metrics").await.1;
    let page = page.as_str().unwrap();
    let counted =
        "alike_requests_total{route=\"/v1/users/{user}/recommendations\",method=\"GET\",status=\"200\"} 1";
    for line in [counted, "alike_rank_batch_count 1", "alike_model_version 1", "alike_rank_queue 0", "# EOF"]
    {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("users/4"), "addresses with ids of people are counted");
    served.app.stopping();
    assert_eq!(served.get("/health/ready").await.0, 503);
    assert_eq!(served.get("/health/live").await.0, 200);
}

#[tokio::test]
async fn the_page_needs_no_key() {
    let served =
        Served::with_app("bpr", |app| app.keys = Keys::admin("0123456789abcdef").unwrap().into()).await;
    assert_eq!(served.get("/v1/model").await.0, 401);
    for path in ["/", "/page/page.css", "/page/page.js"] {
        assert_eq!(served.get(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn encoders_that_embed_saved_find_items_by_words() {
    let served = Served::new("bpr").await;
    let world = &served.files;
    let table = "id,title\n0,red shoes\n1,blue shoes\n2,green tea\n3,black tea with milk\n";
    std::fs::write(world.path("table.csv"), table).unwrap();
    let request = alike::embed::EmbedRequest {
        source: alike::embed::EmbedSource::Texts { items: world.path("table.csv"), columns: Vec::new() },
        text: Default::default(),
        id: None,
        encoder: alike::embed::EncoderChoice::Builtin { dim: 3 },
        batch: 16,
        out: world.path("words.safetensors"),
        progress: &(),
    };
    alike::embed::embed(&request, &mut |_| ()).unwrap();
    let log = "user,item\na,0\na,1\nb,2\nb,3\na,2\nb,0\na,3\nb,1\n";
    std::fs::write(world.path("small.csv"), log).unwrap();
    let options = PrepareOptions {
        features: vec![("words".into(), world.path("words.safetensors"))],
        ..PrepareOptions::new(world.path("small.csv"), world.path("small"))
    };
    prepare(&options).unwrap();
    let data = Dataset::open(&world.path("small")).unwrap();
    let named = |name: &str| vec![(name.to_string(), world.path("words.safetensors"))];
    let saved = SavedEncoders::open(&named("words"), &data).unwrap();
    assert_eq!(saved.takes(), (true, false));
    let found = saved.text("black tea with milk").unwrap();
    assert_eq!((found.modality.as_str(), found.features.len()), ("words", data.features[0].dim));
    let row = data.items.get("3").unwrap() as usize * data.features[0].dim;
    for (a, b) in found.features.iter().zip(&data.features[0].values()[row..]) {
        assert!((a - b).abs() < 1e-5);
    }
    let error = saved.image(b"no picture").unwrap_err().to_string();
    assert!(error.starts_with("the picture cannot be encoded: this server has no encoder"), "{error}");
    let error = saved.text("?").unwrap_err().to_string();
    assert!(error.starts_with("`text` cannot be encoded: none of its words"), "{error}");
    let error = SavedEncoders::open(&named("sound"), &data).err().unwrap().to_string();
    assert!(error.contains("the data have: words"), "{error}");
}

#[tokio::test]
async fn the_page_is_whole_and_loads_nothing_from_elsewhere() {
    let served = Served::new("popularity").await;
    let send = |path: &str| {
        served
            .router
            .clone()
            .oneshot(Request::get(path).header("host", "localhost").body(Body::empty()).unwrap())
    };
    let index = send("/").await.unwrap();
    let policy = index.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_string();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http")
    );
    let index = served.get("/").await.1.as_str().unwrap().to_string();
    let mut parts = 0;
    for (name, _) in index.match_indices("=\"/").map(|(at, _)| index[at + 2..].split_once('"').unwrap()) {
        assert_eq!(served.get(name).await.0, 200, "{name}");
        parts += 1;
    }
    assert_eq!(parts, 2);
    let script = served.get("/page/page.js").await.1.as_str().unwrap().to_string();
    let style = served.get("/page/page.css").await.1.as_str().unwrap().to_string();
    for text in [&index, &script, &style] {
        let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !elsewhere.contains("http:") && !elsewhere.contains("https:") && !elsewhere.contains("//cdn")
        );
    }
    // Nothing that the policy forbids, and no text that is read as marks.
    assert!(!index.contains("style=") && !index.contains("onclick") && !index.contains("<script>"));
    assert!(!script.contains("innerHTML") && !script.contains("eval("));
    // Every element that the script looks for is there, and every field has a label.
    for (at, _) in script.match_indices("$(\"") {
        let id = script[at + 3..].split('"').next().unwrap();
        assert!(index.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert_eq!(
        index.matches("<label").count(),
        index.matches("<input").count() + index.matches("<select").count()
    );
    assert_eq!(served.get("/page/..%2Fpage.rs").await.0, 404);
}

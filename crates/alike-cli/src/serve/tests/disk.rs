//! What clients hear when the disk under the store of events goes wrong.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::Served;
use crate::serve::store::faults::{Fault, watch};
use crate::serve::store::{Options, Store, StoreAddress};

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_is_503_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let disk = watch(&path);
    let store = Store::open(&StoreAddress::File(path.join("a.sqlite")), Options::default()).await.unwrap();
    let served = Served::with_app("popularity", |app| app.store = store).await;
    let (mut answered, mut refused) = (Vec::new(), 0);
    for at in 0..60 {
        let (user, gone) = (format!("u{at}"), format!("gone{at}"));
        served.event(&gone, "2", "take").await;
        disk.goes_wrong(at, Fault::Fails);
        let event = json!({ "user": user, "item": "4", "kind": "take", "key": user });
        let (written, body) = served.post("/v1/events", &event).await;
        let code = &body["error"]["code"];
        assert!(
            written == 200 || (written == 503 && (code == "store" || code == "store_unsure")),
            "{written}: {body}"
        );
        let request = Request::delete(format!("/v1/users/{gone}")).body(Body::empty()).unwrap();
        let (forgot, body) = served.send(request).await;
        assert!([200, 202, 503].contains(&forgot), "{forgot}: {body}");
        let (read, body) = served.get(&format!("/v1/users/{user}/history")).await;
        assert!([200, 404, 503].contains(&read), "{read}: {body}");
        disk.goes_wrong(usize::MAX, Fault::Fails);
        if written == 200 {
            answered.push(user.clone());
        }
        if forgot < 300 {
            assert_eq!(served.get(&format!("/v1/users/{gone}/history")).await.0, 404, "{gone} is forgotten");
        }
        refused += usize::from(written == 503) + usize::from(forgot == 503) + usize::from(read == 503);
        // The same key tells whether it had been written, and writes it if not.
        let again = served.posted("/v1/events", event).await;
        assert_eq!(again["written"].as_u64().unwrap() + again["repeated"].as_u64().unwrap(), 1);
    }
    assert!(refused > 10, "{refused} of 180 requests were refused: the disk is not watched");
    for user in &answered {
        assert_eq!(served.got(&format!("/v1/users/{user}/history")).await["count"], 1, "{user}");
    }
}

//! What every model in the registry must do; a new model joins by its registry line.

use crate::support::{self, checkerboard};
use alike::eval::Metrics;
use alike::models;
use alike::run::Run;
use alike::train::{Summary, TrainEvent, TrainRequest, fit};

pub(crate) fn request(model: &'static str) -> TrainRequest<'static> {
    let mut settings = toml::Table::new();
    let known: Vec<&str> = models::find(model).unwrap().settings().iter().map(|s| s.name).collect();
    for (name, value) in [
        ("dim", toml::Value::Integer(16)),
        ("lr", toml::Value::Float(0.005)),
        ("batch", toml::Value::Integer(64)),
        ("epochs", toml::Value::Integer(10)),
        ("hidden", toml::Value::Integer(16)),
    ] {
        if known.contains(&name) {
            settings.insert(name.into(), value);
        }
    }
    TrainRequest { settings, seed: 7, ..TrainRequest::new(model) }
}

/// Everything of a summary that the seed decides.
fn outcome(s: &Summary) -> (usize, usize, &Metrics, &Metrics, &Metrics) {
    (s.epochs, s.best_epoch, &s.valid, &s.test_public, &s.test_clean)
}

#[test]
fn every_model_learns_the_checkerboard() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    for model in models::all() {
        let mut planned = None;
        let mut note = |event: TrainEvent<'_>| {
            if let TrainEvent::Planned { parameters, memory_bytes, .. } = event {
                planned = Some((parameters, memory_bytes));
            }
        };
        let summary = fit(&data, &request(model.name), &mut note).unwrap();
        let (parameters, memory_bytes) = planned.unwrap();
        assert_eq!(
            parameters, summary.parameters,
            "{}: what was announced was not what was trained",
            model.name
        );
        assert!(memory_bytes > 4 * parameters as u64);
        // Six items of a user's own colour are left, three of them held out for test, and 36 of the other
        // colour.
        let recall = summary.test_public.get("recall@10");
        let personal = model.name != "popularity";
        assert!(!personal || recall > 0.9, "{}: Recall@10 {recall}", model.name);
        assert!(recall.is_finite());
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_with_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    for model in models::all() {
        let losses = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut losses = Vec::new();
            let mut request = request(model.name);
            request.seed = seed;
            if request.settings.contains_key("epochs") {
                request.settings.insert("epochs".into(), toml::Value::Integer(3));
            }
            let mut note = |event: TrainEvent<'_>| {
                if let TrainEvent::Batch { loss, .. } = event {
                    losses.push(loss.to_bits());
                }
            };
            let summary = pool.install(|| fit(&data, &request, &mut note)).unwrap();
            (losses, summary)
        };
        let (one, first) = losses(1, 7);
        let (three, second) = losses(3, 7);
        assert_eq!(one, three, "{}", model.name);
        assert_eq!(outcome(&first), outcome(&second), "{}", model.name);
        let (other, _) = losses(1, 8);
        assert!(one.is_empty() || one != other, "{}: the seed changes nothing", model.name);
    }
}

#[test]
fn saved_runs_recommend_what_was_trained() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    for (n, model) in models::all().iter().enumerate() {
        let path = dir.path().join(format!("run{n}"));
        let summary =
            fit(&data, &TrainRequest { run: Some(&path), ..request(model.name) }, &mut |_| {}).unwrap();
        let run = Run::open(&path).unwrap();
        use alike::eval::{Protocol, Split};
        let (metrics, groups) = run.evaluate(Split::Test, Protocol::Public, &()).unwrap();
        for (name, value) in &summary.test_public.0 {
            assert_eq!(metrics.get(name), *value, "{} {name}", model.name);
        }
        assert!((0.0..=1.0).contains(&metrics.get("coverage@20")) && metrics.get("diversity@20") > 0.0);
        assert!(!groups.is_empty());
        assert_eq!(run.summary().unwrap().unwrap(), summary);
        let list = run.recommend("3", 5).unwrap();
        let history = run.history("3").unwrap();
        assert_eq!(list.len(), 5);
        assert!(list.iter().all(|r| history.iter().all(|h| data.items.name(h.0) != r.item)));
        // Nobody took the last item in train: it has a score all the same.
        let all = run.recommend("1", 1000).unwrap();
        let cold = (support::ITEMS - 1).to_string();
        assert!(all.iter().any(|r| r.item == cold && r.score.is_finite()), "{}", model.name);
        assert!(list.windows(2).all(|w| w[0].score >= w[1].score && w[0].rank < w[1].rank));
        assert!(run.recommend("nobody", 5).unwrap_err().to_string().contains("unknown user `nobody`"));
        assert!(run.similar("nothing", 5).unwrap_err().to_string().contains("unknown item `nothing`"));
        // A finished run is not trained again.
        let again = TrainRequest { run: Some(&path), resume: true, ..request(model.name) };
        let mut trained = false;
        fit(&data, &again, &mut |e| trained |= matches!(e, TrainEvent::Batch { .. })).unwrap();
        assert!(!trained);
    }
}

#[test]
fn a_search_scores_test_only_when_asked_and_may_train_longer() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let (short, long) = (dir.path().join("short"), dir.path().join("long"));
    let with = |epochs: i64, run| {
        let settings = toml::Table::from_iter([("epochs".to_string(), epochs.into())]);
        TrainRequest { settings, run: Some(run), ..request("bpr") }
    };
    let trial = fit(&data, &TrainRequest { test: false, ..with(2, &short) }, &mut |_| {}).unwrap();
    assert!(trial.test_public.is_empty() && trial.test_clean.is_empty() && !trial.valid.is_empty());
    let text = std::fs::read_to_string(short.join("metrics.json")).unwrap();
    assert!(!text.contains("test_"), "{text}");
    // Two epochs, then two more, are four at once; fewer than before are another run.
    let more = TrainRequest { resume: true, ..with(4, &short) };
    let mut epochs = Vec::new();
    let resumed = fit(&data, &more, &mut |e| {
        if let TrainEvent::Epoch { record: r, .. } = e {
            epochs.push(r.epoch)
        }
    })
    .unwrap();
    let at_once = fit(&data, &with(4, &long), &mut |_| {}).unwrap();
    assert_eq!(epochs, [3, 4]);
    assert_eq!((resumed.epochs, &resumed.valid), (4, &at_once.valid));
    assert_eq!(resumed.test_public, at_once.test_public);
    let fewer = fit(&data, &TrainRequest { resume: true, ..with(3, &short) }, &mut |_| {});
    assert!(fewer.unwrap_err().to_string().contains("its setting `epochs` is 4, not 3"));
    // A run that was finished without test is scored later.
    let trial = dir.path().join("trial");
    fit(&data, &TrainRequest { test: false, ..with(2, &trial) }, &mut |_| {}).unwrap();
    let scored = fit(&data, &TrainRequest { resume: true, ..with(2, &trial) }, &mut |_| {}).unwrap();
    assert!(!scored.test_public.is_empty() && !scored.test_clean.is_empty());
}

#[test]
fn settings_round_trip_and_unknown_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    for model in models::all() {
        let path = dir.path().join(model.name.replace('/', "-"));
        fit(&data, &TrainRequest { run: Some(&path), ..request(model.name) }, &mut |_| {}).unwrap();
        let settings = Run::open(&path).unwrap().settings;
        let infos = model.settings();
        assert_eq!(settings.len(), infos.len(), "{}", model.name);
        assert!(infos.iter().all(|i| settings.contains_key(i.name) && !i.doc.is_empty()));
        let mut again = request(model.name);
        again.settings = settings;
        assert!(fit(&data, &again, &mut |_| {}).is_ok(), "{}: its own settings are refused", model.name);
        again.settings.insert("layerz".into(), toml::Value::Integer(2));
        let error = fit(&data, &again, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("unknown setting `layerz`"), "{error}");
    }
}

#[test]
fn a_stopped_run_goes_on_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    for (n, model) in models::all().iter().enumerate() {
        let whole = dir.path().join(format!("whole{n}"));
        let cut = dir.path().join(format!("cut{n}"));
        let expected =
            fit(&data, &TrainRequest { run: Some(&whole), ..request(model.name) }, &mut |_| {}).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let mut request = TrainRequest { run: Some(&cut), progress: &stop, ..request(model.name) };
        let stopped = fit(&data, &request, &mut |event| {
            if let TrainEvent::Batch { epoch: 3, batch: 9, .. } = event {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        });
        if stopped.is_ok() {
            continue; // solved at once
        }
        assert!(matches!(stopped, Err(alike::Error::Interrupted)));
        stop.store(false, std::sync::atomic::Ordering::Relaxed);
        request.resume = true;
        let resumed = fit(&data, &request, &mut |_| {}).unwrap();
        assert_eq!(outcome(&expected), outcome(&resumed), "{}", model.name);
        let tensors = |dir: &std::path::Path| {
            let mut files: Vec<_> = std::fs::read_dir(dir)
                .unwrap()
                .map(|e| e.unwrap().path())
                .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
                .map(|p| (p.file_name().unwrap().to_owned(), std::fs::read(&p).unwrap()))
                .collect();
            files.sort();
            files
        };
        assert!(tensors(&whole) == tensors(&cut), "{}: checkpoints differ", model.name);
    }
}

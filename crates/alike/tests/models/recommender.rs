//! What every trained model must do for people it has not seen: fold-in, reasons, warm start.

use crate::support::{self, checkerboard};
use alike::layers::Saved;
use alike::models::{self, FoldIn, Learner};
use alike::recommend::{PeopleRequest, Recommender, UserHistory};
use alike::run::Run;
use alike::train::{TrainRequest, fit};
use burn::tensor::Device;

fn request(model: &'static str) -> TrainRequest<'static> {
    crate::conformance::request(model)
}

/// Somebody new who took five items of one colour.
fn newcomer(colour: u32) -> UserHistory {
    UserHistory { user: None, history: (0..5).map(|n| 4 * n + colour).collect() }
}

#[test]
fn every_model_serves_people_it_has_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    for (n, model) in models::all().iter().enumerate() {
        let path = dir.path().join(format!("run{n}"));
        fit(&data, &TrainRequest { run: Some(&path), ..request(model.name) }, &mut |_| {}).unwrap();
        let recommender = Recommender::open(&path).unwrap();
        let personal = model.name != "popularity";
        for colour in [0, 1] {
            let person = newcomer(colour);
            let vectors = recommender.vectors(std::slice::from_ref(&person)).unwrap();
            let list =
                recommender.rank(&PeopleRequest::new(&vectors, 10).hiding(&[&person.history])).remove(0);
            assert_eq!(list.len(), 10);
            assert!(list.iter().all(|(i, _)| !person.history.contains(i)), "{}", model.name);
            let right = list.iter().filter(|(i, _)| i % 2 == colour).count();
            assert!(!personal || right >= 9, "{}: {right} of 10 items are of their colour", model.name);
            let all = recommender.scores(&vectors[0]);
            assert!(list.iter().all(|&(i, s)| (all[i as usize] - s).abs() < 1e-5), "{}", model.name);

            // Each reason is an item without which the score is lower, and by as much as it says.
            let items: Vec<u32> = list.iter().map(|l| l.0).collect();
            let reasons = recommender.reasons(&person, &items, 3).unwrap();
            for ((&item, reasons), &(_, score)) in items.iter().zip(&reasons).zip(&list) {
                assert!(reasons.len() <= 3 && reasons.windows(2).all(|w| w[0].loss >= w[1].loss));
                for reason in reasons {
                    let mut without = person.clone();
                    without.history.retain(|&j| j != reason.item);
                    let less = recommender.score(&recommender.vectors(&[without]).unwrap()[0], item);
                    assert!(less < score, "{}: {less} is not below {score}", model.name);
                    assert!((score - less - reason.loss).abs() < 1e-5, "{}", model.name);
                }
            }
            let named = reasons.iter().filter(|r| !r.is_empty()).count();
            assert!(!personal || named >= 9, "{}: reasons for {named} of 10", model.name);
        }
        // A history of one item carries all that there is.
        let person = UserHistory { user: None, history: vec![6] };
        let reasons = recommender.reasons(&person, &[8, 10, 12], 3).unwrap();
        let only: Vec<u32> = reasons.iter().flatten().map(|r| r.item).collect();
        assert!(!personal || (only.len() >= 2 && only.iter().all(|&i| i == 6)), "{}: {only:?}", model.name);
        // A known user who took nothing since is where training left them.
        let known = UserHistory { user: Some(3), history: data.train.row(3).to_vec() };
        let vector = recommender.vectors(&[known]).unwrap().remove(0);
        let run = Run::open(&path).unwrap();
        for item in [0, 1, 20, 41] {
            let (now, then) = (recommender.score(&vector, item), run.scorer.score(3, item));
            assert!((now - then).abs() < 1e-4 * then.abs().max(1.0), "{}: {now}, was {then}", model.name);
        }
        let wrong = recommender.vectors(&[UserHistory { user: None, history: vec![support::ITEMS as u32] }]);
        assert!(wrong.unwrap_err().to_string().contains("72 items"));
        // Nobody's history gives a score too.
        assert!(
            recommender
                .scores(&recommender.vectors(&[UserHistory::default()]).unwrap()[0])
                .iter()
                .all(|s| s.is_finite())
        );
    }
}

#[test]
fn parts_of_reasons_are_modalities_of_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let path = dir.path().join("run");
    fit(&data, &TrainRequest { run: Some(&path), ..request("nsmar+") }, &mut |_| {}).unwrap();
    let recommender = Recommender::open(&path).unwrap();
    let reasons = recommender.reasons(&newcomer(0), &[30, 32], 5).unwrap();
    let mut named = reasons.iter().flatten().map(|r| r.modality.as_deref().unwrap());
    assert!(named.all(|m| ["image", "text"].contains(&m)));
}

/// The fold-in of a model whose user 5 has no start of their own gives the row that its forward pass gives
/// them.
#[test]
fn own_fold_ins_are_the_forward_pass() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let user = 5usize;
    for (n, model) in models::all().iter().filter(|m| m.folds).enumerate() {
        let path = dir.path().join(format!("run{n}"));
        fit(&data, &TrainRequest { run: Some(&path), ..request(model.name) }, &mut |_| {}).unwrap();
        let run = Run::open(&path).unwrap();
        let mut saved: Vec<Saved> = run.best_params().unwrap();
        for param in saved.iter_mut().filter(|p| p.name == "embedding" || p.name.starts_with("user.")) {
            let cols = param.shape[1];
            param.value[user * cols..(user + 1) * cols].fill(0.0);
        }
        // Where users weigh modalities, newcomers weigh them as all do on average: here user 5 does so too.
        for param in saved.iter_mut().filter(|p| p.name == "mix") {
            let cols = param.shape[1];
            let (before, rest) = param.value.split_at_mut(user * cols);
            let (own, after) = rest.split_at_mut(cols);
            for (c, own) in own.iter_mut().enumerate() {
                let others = before.iter().chain(after.iter()).skip(c).step_by(cols);
                *own = others.sum::<f32>() / (param.shape[0] - 1) as f32;
            }
        }
        let build = || {
            let learner = models::build(model.name, &data, &run.settings, 7, &Device::flex()).unwrap();
            let Learner::Gradient(mut model) = learner else { panic!("only trained models fold in") };
            model.params_mut().load(&saved, 0).unwrap();
            model
        };
        let scorer = build().scorer().unwrap();
        let person = UserHistory { user: Some(user as u32), history: data.train.row(user).to_vec() };
        let fold: FoldIn = build().fold_in().unwrap().unwrap();
        let placed = fold.place(&[newcomer(1), person]).unwrap();
        let largest = scorer.user_row(user as u32).unwrap().iter().fold(0f32, |m, v| m.max(v.abs()));
        for (a, b) in placed.row(1).iter().zip(scorer.user_row(user as u32).unwrap()) {
            assert!((a - b).abs() < 1e-5 * largest.max(1e-3), "{}: {a} is not {b}", model.name);
        }
    }
}

#[test]
fn new_items_stand_between_those_like_them() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    let path = dir.path().join("run");
    fit(&data, &TrainRequest { run: Some(&path), ..request("bpr") }, &mut |_| {}).unwrap();
    let recommender = Recommender::open(&path).unwrap();
    let text = &data.features[1];
    let row = |i: usize| &text.values()[i * text.dim..(i + 1) * text.dim];
    assert_eq!(recommender.nearest("text", row(10), 1).unwrap()[0].0 % 2, 0);
    let placed = recommender.place_item(&[("text", row(10))]).unwrap();
    let even: f32 = placed.between.iter().filter(|b| b.0 % 2 == 0).map(|b| b.1).sum();
    assert!(even > 0.9 && placed.between.is_sorted_by(|a, b| a.1 >= b.1), "{:?}", placed.between);
    assert!((placed.between.iter().map(|b| b.1).sum::<f32>() - 1.0).abs() < 1e-5);
    // Who likes even items likes it better than who likes odd ones.
    let vectors = recommender.vectors(&[newcomer(0), newcomer(1)]).unwrap();
    assert!(recommender.score_placed(&vectors[0], &placed) > recommender.score_placed(&vectors[1], &placed));
    let error = |e: alike::Error| e.to_string();
    assert!(
        error(recommender.nearest("sound", &[1.0], 1).unwrap_err()).contains("the data have: image, text")
    );
    assert!(error(recommender.nearest("text", &[1.0], 1).unwrap_err()).contains("4 finite values, not 1"));
    assert!(error(recommender.place_item(&[]).unwrap_err()).contains("at least one modality"));
}

#[test]
fn a_warm_start_takes_rows_over_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let data = checkerboard(dir.path());
    // The same people under the same ids in another order, one of them new, and an item less.
    let text = std::fs::read_to_string(dir.path().join("board.inter")).unwrap();
    let mut lines: Vec<&str> = text.lines().skip(1).filter(|l| l.split('\t').nth(1) != Some("8")).collect();
    lines.reverse();
    let later = dir.path().join("later.inter");
    let new = "new\t3\t5\t1\t0\nnew\t5\t5\t1\t0\nnew\t7\t5\t1\t1";
    std::fs::write(&later, format!("{}\n{}\n{new}\n", text.lines().next().unwrap(), lines.join("\n")))
        .unwrap();
    let options = alike::data::PrepareOptions {
        split: alike::data::SplitKind::Label,
        ..alike::data::PrepareOptions::new(&later, dir.path().join("later"))
    };
    alike::data::prepare(&options).unwrap();
    let now = alike::data::Dataset::open(&dir.path().join("later")).unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    fit(&data, &TrainRequest { run: Some(&first), ..request("bpr") }, &mut |_| {}).unwrap();
    let mut warm = TrainRequest { run: Some(&second), warm_start: Some(&first), ..request("bpr") };
    warm.settings.insert("lr".into(), 0.0.into());
    warm.settings.insert("epochs".into(), 1.into());
    fit(&now, &warm, &mut |_| {}).unwrap();
    let (old, new) = (Run::open(&first).unwrap(), Run::open(&second).unwrap());
    for name in ["0", "17", "39"] {
        let (a, b) = (data.users.get(name).unwrap(), now.users.get(name).unwrap());
        assert_eq!(old.scorer.user_row(a), new.scorer.user_row(b));
        for item in ["0", "9", "70"] {
            let (i, j) = (data.items.get(item).unwrap(), now.items.get(item).unwrap());
            assert_eq!(old.scorer.score(a, i), new.scorer.score(b, j));
        }
    }
    let new_user = new.scorer.user_row(now.users.get("new").unwrap()).unwrap();
    assert!(new_user.iter().any(|v| *v != 0.0));
    // A start from elsewhere is another run, another model's is none.
    let error = |request: &TrainRequest<'_>| fit(&now, request, &mut |_| {}).unwrap_err().to_string();
    assert!(
        error(&TrainRequest { resume: true, warm_start: None, ..warm.clone() }).contains("its warm start is")
    );
    let other = TrainRequest { warm_start: Some(&first), ..request("lightgcn") };
    assert!(error(&other).contains("its model is bpr, not lightgcn"));
    let wider = TrainRequest {
        warm_start: Some(&first),
        settings: toml::from_str("dim = 8").unwrap(),
        ..request("bpr")
    };
    assert!(error(&wider).contains("parameter `embedding` has shape"));
}

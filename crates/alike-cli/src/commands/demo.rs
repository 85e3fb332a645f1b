//! `alike demo`: everything once, on bundled real data.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Instant;

use alike::Error;
use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::run::Run;
use alike::train::{Summary, TrainRequest, fit};

use super::unseen::{self, Unseen};
use crate::args::Demo;
use crate::bundled;
use crate::destination;
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table, duration, grouped};
use crate::progress::TrainingProgress;
use crate::report::{DemoReport, ModelSummary, Point, RecallAndNdcg, Title, UserExample};
use crate::stop;

/// A model of the demo: its name and its run's folder. Each trains by its defaults.
type Shown = (&'static str, &'static str);

/// The models in the order in which they are shown. The recommendations of the one that is best on validation
/// are shown.
const MODELS: [Shown; 3] = [("popularity", "popularity"), ("lightgcn", "lightgcn"), ("alloy", "alloy")];

/// A file that says that a folder is a demo, so that it may be replaced.
const MARK: &str = "alike-demo.txt";
/// What a demo folder holds.
const PARTS: [&str; 4] = ["source", "data", "unseen", "report.html"];
/// Users of the report.
const PEOPLE: usize = 10;
/// Items of a history that are shown.
const HISTORY: usize = 8;
/// Largest picture that is put into the report, bytes.
const PICTURE: u64 = 300_000;

/// Prepares, trains, compares, writes the report, and says how to go on.
pub(crate) fn run(args: &Demo, quiet: bool) -> Outcome {
    let started = Instant::now();
    let out = destination::folder(&args.out)?;
    clear(&out)?;
    let stop = stop::flag("the next `alike demo` starts again", stop::SHORT);
    let (source, prepared) = (out.join("source"), out.join("data"));
    bundled::unpack(&source)?;
    let options = options(&source, &prepared);
    prepare(&options)?;
    let data = Dataset::open(&prepared)?;
    if !quiet {
        output::line(format!(
            "MovieLens latest-small: {} users, {} films, {} choices to learn from, {} held out\n",
            grouped(data.users.len()),
            grouped(data.items.len()),
            grouped(data.train.nnz()),
            grouped(data.valid.nnz() + data.test.nnz())
        ))?;
    }
    alike_ops::keep_freed_memory();
    let train = |data: &Dataset, model, most, run: &Path, title: &str| -> Outcome<Summary> {
        let mut progress = TrainingProgress::new(title, quiet);
        let phases = progress.phases(stop);
        let request = TrainRequest {
            settings: settings(model, most)?,
            seed: args.seed,
            run: Some(run),
            progress: &phases,
            ..TrainRequest::new(model)
        };
        fit(data, &request, &mut |event| progress.show(&event)).map_err(stop::explain)
    };
    let mut summaries = Vec::new();
    for (model, folder) in MODELS {
        summaries.push(train(&data, model, args.epochs, &out.join("runs").join(folder), model)?);
    }
    // The same question for films that nobody took in training.
    let folder = out.join("unseen");
    let less = unseen::split(&data, &options, &folder)?;
    let mut runs = Vec::new();
    // What is not trained knows nothing of these films: its order is that of the file. The others learn for
    // an eighth of the time that was best above, so that the demo stays short.
    for ((model, name), summary) in MODELS.into_iter().zip(&summaries).filter(|(_, s)| s.best_epoch > 0) {
        let run = folder.join(name);
        let most = u32::try_from(summary.best_epoch.div_ceil(8)).unwrap_or(u32::MAX);
        train(&less, model, Some(most), &run, &format!("{model}, unseen"))?;
        runs.push(run);
    }
    let unseen = unseen::measure(&less, &runs)?;
    let report = report(&data, &args.out, &summaries, unseen, started.elapsed().as_secs_f64())?;
    let page = args.out.join("report.html");
    output::whole_file(&out.join("report.html"), report.html().as_bytes())?;
    if quiet {
        return Ok(());
    }
    table(&summaries, &report.unseen)?;
    for (s, remark) in summaries.iter().flat_map(|s| s.remarks().into_iter().map(move |r| (s, r))) {
        output::line(format!("note: {}: {remark}", s.model))?;
    }
    output::line(format!(
        "\nreport: {} ({} in all)",
        page.display(),
        duration(started.elapsed().as_secs_f64())
    ))?;
    output::line(
        "\nnext, with the same program; the first opens a page of recommendations to click through:",
    )?;
    report.next.iter().try_for_each(|command| output::line(format!("  {command}")))
}

/// Removes an earlier demo; a folder that holds anything else is left alone.
fn clear(out: &Path) -> Outcome {
    let problem = |e: std::io::Error| Failure::io(out, &e);
    fs::create_dir_all(out).map_err(problem)?;
    let mark = out.join(MARK);
    let empty = fs::read_dir(out).map_err(problem)?.next().is_none();
    if !empty && !mark.is_file() {
        let text =
            format!("{}: holds something else than a demo; choose another folder with --out", out.display());
        return Err(Failure::Failed(text));
    }
    fs::write(&mark, "Made by `alike demo`, which replaces it on its next run.\n").map_err(problem)?;
    // Beside its own runs may be others', and the events of a server.
    let runs = MODELS.map(|(_, folder)| out.join("runs").join(folder));
    for part in PARTS.map(|p| out.join(p)).into_iter().chain(runs) {
        let gone = match fs::symlink_metadata(&part) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&part),
            Ok(_) => fs::remove_file(&part),
            Err(_) => Ok(()),
        };
        gone.map_err(|e| Failure::io(&part, &e))?;
    }
    Ok(())
}

fn options(source: &Path, prepared: &Path) -> PrepareOptions {
    let feature = |m: &str| (m.to_string(), source.join(format!("{m}_feat.npy")));
    PrepareOptions {
        features: ["image", "text"].map(feature).to_vec(),
        items: Some(source.join("items.jsonl")),
        split: SplitKind::Label,
        ..PrepareOptions::new(source.join("ml_small.inter"), prepared)
    }
}

/// The defaults, with fewer epochs where asked for.
fn settings(model: &str, most: Option<u32>) -> Outcome<toml::Table> {
    let known = alike::models::find(model)?.settings();
    let most = most.filter(|_| known.iter().any(|s| s.name == "epochs"));
    Ok(most.into_iter().map(|most| ("epochs".to_string(), toml::Value::Integer(most.into()))).collect())
}

fn table(summaries: &[Summary], unseen: &Unseen) -> Outcome {
    let columns = ["recall@20", "ndcg@20"];
    let mut table = Table::new(&["model", "valid R@20", "valid N@20", "test R@20", "test N@20", "time"]);
    for s in summaries {
        let mut row = vec![s.model.clone()];
        row.extend(
            [&s.valid, &s.test_public].iter().flat_map(|m| columns.map(|c| format!("{:.4}", m.get(c)))),
        );
        row.push(duration(s.seconds));
        table.row(row);
    }
    output::write(&table.render())?;
    output::line("\nR = recall, N = NDCG; full ranking, public protocol; higher is better\n")?;
    let mut table = Table::new(&["films nobody took in training", "R@20 among them"]);
    for (model, recall) in &unseen.recall {
        table.row(vec![model.clone(), format!("{recall:.4}")]);
    }
    table.row(vec!["a random order".into(), format!("{:.4}", unseen.chance)]);
    output::write(&table.render())?;
    let (items, users) = (grouped(unseen.items), grouped(unseen.users));
    output::line(format!(
        "\n{items} films left out of another training, asked for {users} people who took one of them"
    ))
}

fn report(
    data: &Dataset,
    out: &Path,
    summaries: &[Summary],
    unseen: Unseen,
    seconds: f64,
) -> Outcome<DemoReport> {
    let mut models = Vec::new();
    let mut shown: Option<(f64, Run, &str)> = None;
    for ((_, folder), summary) in MODELS.iter().zip(summaries) {
        let run = Run::open(&out.join("runs").join(folder))?;
        models.push(model(&run, summary)?);
        let valid = summary.valid.get("recall@20");
        if shown.as_ref().is_none_or(|best| valid > best.0) {
            shown = Some((valid, run, folder));
        }
    }
    let (_, run, folder) = shown.ok_or_else(|| Failure::Failed("no model was trained".into()))?;
    let people = people(&run)?;
    let (alike, at) = (program(), |part: &str| out.join(part).display().to_string());
    let trained = at(&format!("runs/{folder}"));
    let sample = people.first().map_or_else(|| "1".into(), |p| p.id.clone());
    Ok(DemoReport {
        data_name: "MovieLens latest-small, ratings of 3.5 and more, with picture and text vectors".into(),
        noun: ("film".into(), "films".into()),
        users: data.users.len(),
        items: data.items.len(),
        train: data.train.nnz(),
        seconds,
        models,
        shown: run.model.clone(),
        people,
        unseen,
        facts: facts(data),
        next: vec![
            format!("{alike} serve     {trained}"),
            format!("{alike} recommend {trained} --user {sample} --top 10"),
            format!("{alike} similar   {trained} --item {}", data.items.name(0)),
            format!("{alike} evaluate  {trained} --protocol clean"),
            format!("{alike} train bpr --data {} --out {}", at("data"), at("runs/bpr")),
            format!("{alike} prepare --interactions YOUR.csv --feature text=YOUR.npy --out data/yours"),
        ],
        notice: bundled::NOTICE.into(),
    })
}

fn model(run: &Run, summary: &Summary) -> Outcome<ModelSummary> {
    let info = alike::models::find(&run.model)?;
    let point = |r: &alike::train::EpochRecord| Point {
        epoch: r.epoch,
        loss: r.loss,
        recall: r.valid.as_ref().map(|m| m.get("recall@20")),
    };
    let scores = |m: &alike::eval::Metrics| RecallAndNdcg::from_values(|name| m.get(name));
    let mut settings = vec![("seed".to_string(), run.seed.to_string())];
    settings.extend(run.settings.iter().map(|(name, value)| (name.clone(), alike::config::show(value))));
    Ok(ModelSummary {
        name: run.model.clone(),
        summary: info.summary.into(),
        curve: run.log()?.iter().map(point).collect(),
        best_epoch: summary.best_epoch,
        seconds: summary.seconds,
        parameters: summary.parameters,
        valid: scores(&summary.valid),
        public: scores(&summary.test_public),
        clean: scores(&summary.test_clean),
        settings,
        remarks: summary.remarks().iter().map(ToString::to_string).collect(),
    })
}

/// How to call this program from where the user is.
fn program() -> String {
    if crate::AGAIN.get().is_some() {
        return "alike".into();
    }
    let here = env::current_dir().and_then(|at| at.canonicalize());
    let own = env::current_exe().and_then(|at| at.canonicalize());
    let near =
        here.ok().zip(own.ok()).and_then(|(here, own)| Some(own.strip_prefix(here).ok()?.to_path_buf()));
    near.map_or_else(|| "alike".to_string(), |path| path.display().to_string())
}

/// Users with test items, at even distances.
fn people(run: &Run) -> Outcome<Vec<UserExample>> {
    let data = &run.data;
    let able: Vec<u32> = (0..data.users.len() as u32).filter(|&u| data.test.degree(u as usize) > 0).collect();
    let count = PEOPLE.min(able.len());
    let mut people = Vec::new();
    for u in (0..count).map(|n| able[n * able.len() / count]) {
        let id = data.users.name(u);
        let history = run.history(id)?;
        let held_out = data.test.row(u as usize);
        let mut recommended = Vec::new();
        for r in run.recommend(id, 10)? {
            let item = data.items.get(&r.item).ok_or_else(|| Error::UnknownItem(r.item.clone()))?;
            recommended.push((title(data, item), held_out.binary_search(&item).is_ok()));
        }
        people.push(UserExample {
            id: id.to_string(),
            history: history.iter().take(HISTORY).map(|i| title(data, i.0)).collect(),
            history_len: history.len(),
            held_out: held_out.len(),
            recommended,
        });
    }
    Ok(people)
}

fn title(data: &Dataset, item: u32) -> Title {
    let name = data.title(item).unwrap_or_else(|| data.items.name(item)).to_string();
    let split = |c: &str| c.split(['|', ',']).map(|k| k.trim().to_string()).collect();
    let kinds = data.catalogue.category(item).map(split).unwrap_or_default();
    Title { name, kinds, picture: picture(data, item) }
}

/// The picture of `item`, when it is a file that is there and not too large for a page.
fn picture(data: &Dataset, item: u32) -> Option<Vec<u8>> {
    let path = data.catalogue.image_root()?.join(data.catalogue.image(item)?);
    let small = fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= PICTURE);
    if small { fs::read(&path).ok() } else { None }
}

fn facts(data: &Dataset) -> Vec<(String, String)> {
    let (users, items) = (data.users.len(), data.items.len());
    let mut degrees: Vec<usize> = (0..users).map(|u| data.train.degree(u)).collect();
    degrees.sort_unstable();
    let density = 100.0 * data.train.nnz() as f64 / (users as f64 * items as f64).max(1.0);
    let mut facts = vec![
        ("Users".to_string(), grouped(users)),
        ("Items".into(), grouped(items)),
        ("Train interactions".into(), grouped(data.train.nnz())),
        ("Validation / test".into(), format!("{} / {}", grouped(data.valid.nnz()), grouped(data.test.nnz()))),
        ("Density".into(), format!("{density:.2} %")),
        ("Median history".into(), degrees.get(users / 2).copied().unwrap_or(0).to_string()),
        ("Split".into(), data.split.clone()),
        ("Content hash".into(), data.hash.chars().take(12).collect()),
    ];
    for f in &data.features {
        let missing = f.missing.iter().filter(|m| **m).count();
        let value =
            if missing == 0 { "all items".into() } else { format!("{} items missing", grouped(missing)) };
        facts.push((format!("Vectors: {}, {} wide", f.name, f.dim), value));
    }
    facts
}

//! `alike train`.

use std::path::Path;

use alike::data::Dataset;
use alike::train::{Summary, TrainEvent, TrainRequest, fit};

use crate::args::Train;
use crate::destination;
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table, duration, grouped};
use crate::progress::TrainingProgress;
use crate::stop;

/// Trains, with progress on standard error and the result on standard output.
pub(crate) fn run(args: &Train, quiet: bool) -> Outcome {
    alike::models::find(&args.model)?;
    let stop = stop::flag("nothing was begun yet, so nothing is saved", stop::SHORT);
    if args.stop_with_input {
        stop::when_parent_ends();
    }
    let settings = settings(args)?;
    let out = destination::folder(&args.out)?;
    let data = Dataset::open(&args.data)?;
    let mut progress = TrainingProgress::new(&args.model, quiet);
    let phases = progress.phases(stop);
    let request = TrainRequest {
        model: &args.model,
        settings,
        seed: args.seed,
        run: Some(&out),
        resume: args.resume,
        warm_start: args.warm_start.as_deref(),
        test: !args.no_test,
        devices: args.device.clone(),
        progress: &phases,
    };
    alike_ops::keep_freed_memory();
    let saved = format!(
        "what was evaluated is saved in {}: the same command with --resume goes on from there",
        args.out.display()
    );
    let solved = format!(
        "a model that is solved at once is saved at its end: the same command with --resume begins again in {}",
        args.out.display()
    );
    if args.resume {
        stop::continue_note(&saved);
    }
    let summary = fit(&data, &request, &mut |event| {
        // The run folder is there from the first event on.
        if let TrainEvent::Planned { epochs, .. } = &event {
            stop::continue_note(if *epochs == 0 { &solved } else { &saved });
        }
        progress.show(&event);
    });
    drop(phases);
    drop(progress);
    let summary = summary.map_err(stop::explain)?;
    if args.json {
        return output::json(&summary);
    }
    if quiet {
        return Ok(());
    }
    report(&summary, &args.out)
}

/// The settings of `--config`, then those of `--set`.
fn settings(args: &Train) -> Outcome<toml::Table> {
    let mut table = match &args.config {
        Some(path) => read_toml(path)?,
        None => toml::Table::new(),
    };
    for text in &args.set {
        let (key, value) = alike::config::parse_set(text)?;
        table.insert(key, value);
    }
    Ok(table)
}

pub(super) fn read_toml(path: &Path) -> Outcome<toml::Table> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::io(path, &e))?;
    text.parse::<toml::Table>().map_err(|e| {
        let line = e.span().map(|s| text[..s.start].matches('\n').count() + 1);
        let line = line.map(|l| format!(":{l}")).unwrap_or_default();
        Failure::Usage(format!("{}{line}: {}", path.display(), e.message()))
    })
}

/// Recall@20 of `what` in plain words, beside what the same list for everybody would give.
pub(super) fn in_words(summary: &Summary, what: &str) -> Option<String> {
    let popularity = summary.popularity?;
    let (found, base) = match popularity.test {
        Some(base) => (summary.test_public.get("recall@20"), base),
        None => (summary.valid.get("recall@20"), popularity.valid),
    };
    let percent = |share: f64| {
        let digits = if share < 0.1 { 1 } else { 0 };
        format!("{:.digits$} %", 100.0 * share)
    };
    let own = format!("Of {what}, {} were among 20 suggestions", percent(found));
    Some(match summary.model.as_str() {
        "popularity" => format!("{own} that are the same for everybody."),
        _ => format!("{own}; the bestseller list gets {}.", percent(base)),
    })
}

fn report(summary: &Summary, out: &Path) -> Outcome {
    let epochs = match summary.epochs {
        0 => "solved at once".to_string(),
        n => format!("best epoch {} of {n}", summary.best_epoch),
    };
    output::line(format!(
        "{}: {epochs}, {} parameters, {}\n",
        summary.model,
        grouped(summary.parameters),
        duration(summary.seconds)
    ))?;
    let mut table = Table::new(&["", "recall@10", "recall@20", "ndcg@10", "ndcg@20"]);
    let rows = [
        ("valid", &summary.valid),
        ("test, public", &summary.test_public),
        ("test, clean", &summary.test_clean),
    ];
    for (name, metrics) in rows.into_iter().filter(|(_, m)| !m.is_empty()) {
        let values =
            ["recall@10", "recall@20", "ndcg@10", "ndcg@20"].map(|m| format!("{:.4}", metrics.get(m)));
        table.row([vec![name.to_string()], values.to_vec()].concat());
    }
    output::write(&table.render())?;
    if let Some(sentence) = in_words(summary, "the items people took next") {
        output::line(format!("\n{sentence}"))?;
    }
    for remark in summary.remarks() {
        output::line(format!("note: {remark}"))?;
    }
    let run = out.display();
    output::line(format!("\nnext: alike evaluate {run}, alike recommend {run} --user ID, alike serve {run}"))
}

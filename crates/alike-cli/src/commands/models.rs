//! `alike models`.

use alike::models::{ModelInfo, all, find};
use serde_json::{Value, json};

use crate::args::Models;
use crate::failure::Outcome;
use crate::output::{self, Table};

/// The registry, or one model's settings.
pub(crate) fn run(args: &Models) -> Outcome {
    let one = args.model.as_deref().map(find).transpose()?;
    if args.json {
        let models: Vec<Value> = match one {
            Some(model) => vec![value(model)],
            None => all().into_iter().map(value).collect(),
        };
        return output::json(&models);
    }
    match one {
        Some(model) => settings(model),
        None => {
            let mut table = Table::new(&["model", "what it is"]);
            for model in all() {
                table.row(vec![model.name.into(), model.summary.into()]);
            }
            output::write(&table.render())?;
            output::line("")?;
            all().iter().try_for_each(|model| settings(model).and_then(|()| output::line("")))
        }
    }
}

fn value(model: &ModelInfo) -> Value {
    json!({
        "name": model.name,
        "summary": model.summary,
        "reference": model.reference,
        "settings": model.settings(),
    })
}

fn settings(model: &ModelInfo) -> Outcome {
    output::line(format!("{}: {}\n{}\n", model.name, model.summary, model.reference))?;
    let all = model.settings();
    if all.is_empty() {
        return output::line("no settings");
    }
    let mut table = Table::new(&["setting", "type", "default", "allowed", "what it does"]);
    for s in all {
        table.row(vec![s.name.into(), s.kind.into(), s.default, s.allowed, s.doc.into()]);
    }
    output::write(&table.render())
}

//! `alike similar`.

use alike::run::Run;
use serde_json::json;

use super::recommend::list;
use crate::args::Similar;
use crate::failure::Outcome;
use crate::output;

/// The items most like a given one.
pub(crate) fn run(args: &Similar) -> Outcome {
    let run = Run::open_with(&args.run, args.data.as_deref())?;
    let items = run.similar(&args.item, args.top as usize)?;
    if args.json {
        return output::json(&json!({ "item": args.item, "model": run.model, "items": items }));
    }
    list(&items)
}

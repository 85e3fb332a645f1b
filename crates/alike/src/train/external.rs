//! Models that were trained elsewhere.

use std::path::Path;
use std::time::Instant;

use super::{TrainRequest, run_info, solve};
use crate::checkpoint::RunDir;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::models::Plan;
use crate::progress::Progress;
use crate::scorer::{Matrix, Scorer};
use crate::train::Summary;

/// The model that runs of other programs' models name.
pub const EXTERNAL: &str = "external";

/// Makes a run folder of a model that was trained elsewhere and ends as inner products: `users`, `[U, d]`,
/// and `items`, `[I, d]`, in the order of the data's numbers. It is evaluated, compared and served like any
/// other; `source` says what trained it.
///
/// # Errors
/// The sizes do not fit the data, a value is not finite, or the folder holds something.
pub fn keep_external(
    data: &Dataset,
    (users, items): (Matrix, Matrix),
    source: &str,
    run: &Path,
    test: bool,
    progress: &dyn Progress,
) -> Result<Summary> {
    for (what, rows, count) in [("user", &users, data.users.len()), ("item", &items, data.items.len())] {
        if rows.rows != count || rows.cols == 0 {
            let (have, width) = (rows.rows, rows.cols);
            let text =
                format!("{what} vectors are [{have}, {width}]; the data have {count} {what}s, one row each");
            return Err(Error::Data(text));
        }
        if let Some(row) = rows.data.chunks_exact(rows.cols).position(|r| r.iter().any(|v| !v.is_finite())) {
            return Err(Error::Data(format!("the vector of {what} number {row} holds NaN or infinity")));
        }
    }
    if users.cols != items.cols {
        let (u, i) = (users.cols, items.cols);
        return Err(Error::Data(format!(
            "user vectors have {u} values, item vectors {i}; both need the same width"
        )));
    }
    let settings = toml::Table::from_iter([("source".to_string(), toml::Value::from(source))]);
    let request = TrainRequest { test, progress, ..TrainRequest::new(EXTERNAL) };
    let parameters = users.data.len() + items.data.len();
    let plan = Plan { settings, training: None, parameters, memory_bytes: 0, largest_bytes: 0 };
    let started = Instant::now();
    let dir = RunDir::create(run, &run_info(data, run, &request, &plan, None, &[])?)?;
    let summary = solve(data, &request, &Scorer::Dot { users, items }, Some(&dir), started)?;
    let summary = Summary { parameters, ..summary };
    dir.write_json("metrics.json", &summary)?;
    Ok(summary)
}

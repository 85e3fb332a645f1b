//! What the data are like and what was dropped, for people and for programs.

use std::fmt;

use alike_ops::Csr;
use serde::{Deserialize, Serialize};

use crate::data::formats::columns::listed;

/// Report of [`crate::data::prepare()`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrepareReport {
    /// Name of the data: the file name of the interactions without extension.
    pub name: String,
    /// Content hash of the prepared folder, hex; empty in the folder's own `report.json`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// Rows of the file: all of `interactions` and all that were dropped.
    pub rows: u64,
    /// What each column of the interactions was taken for.
    #[serde(default)]
    pub columns: Vec<ColumnUse>,
    /// Columns of the interactions that were not used.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// Number of users `U`.
    pub users: usize,
    /// Number of items `I`.
    pub items: usize,
    /// Interactions for training, validation and test.
    pub interactions: [usize; 3],
    /// All interactions over `U · I`.
    pub density: f64,
    /// Split: `label`, `random`, `leave-one-out` or `temporal`.
    pub split: String,
    /// Seed of the split `random`.
    pub seed: Option<u64>,
    /// Training interactions of users.
    pub user_degrees: Quantiles,
    /// Training interactions of items.
    pub item_degrees: Quantiles,
    /// Users without a training interaction; they and their interactions are dropped.
    pub cold_users: usize,
    /// Items without a training interaction; they stay candidates.
    pub cold_items: usize,
    /// Features, one entry per modality.
    pub features: Vec<FeatureReport>,
    /// Given neighbour graphs.
    pub knn: Vec<KnnReport>,
    /// Items with a title, when an items file was given.
    pub titles: Option<usize>,
    /// What was dropped and why.
    pub dropped: Vec<Dropped>,
    /// What else is good to know.
    pub notes: Vec<String>,
}

/// A column of the interactions that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnUse {
    /// `user`, `item`, `rating`, `time`, `label` or `event`.
    pub role: String,
    /// Its name in the file.
    pub name: String,
}

/// Something that was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many.
    pub count: u64,
    /// What: `interactions`, `users`, `items`, ...
    pub what: String,
    /// Why.
    pub why: String,
}

/// Features of one modality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureReport {
    /// Name of the modality.
    pub name: String,
    /// Values per item.
    pub dim: usize,
    /// Items without features: `no_row + all_zero`.
    pub missing: usize,
    /// Items without a row in the file.
    pub no_row: usize,
    /// Items whose row holds only zeros.
    pub all_zero: usize,
    /// Rows of items that are not in the prepared data.
    pub unused_rows: usize,
}

/// One given neighbour graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnnReport {
    /// Name of the graph.
    pub name: String,
    /// Neighbours per item.
    pub k: usize,
    /// Items without any neighbour.
    pub missing: usize,
    /// Neighbours that are not in the prepared data.
    pub dropped_neighbors: usize,
}

/// How a count is distributed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Quantiles {
    pub min: u32,
    pub p25: u32,
    pub p50: u32,
    pub p75: u32,
    pub p90: u32,
    pub p99: u32,
    pub max: u32,
    pub mean: f64,
}

impl Quantiles {
    /// Of `values`; all zeros when there are none. The quantile `q` is the value at place `⌊q · (n - 1)⌋`.
    pub(crate) fn from_values(mut values: Vec<u32>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let sum: u64 = values.iter().map(|&v| u64::from(v)).sum();
        values.sort_unstable();
        let at = |percent: usize| values[(values.len() - 1) * percent / 100];
        Self {
            min: at(0),
            p25: at(25),
            p50: at(50),
            p75: at(75),
            p90: at(90),
            p99: at(99),
            max: at(100),
            mean: sum as f64 / values.len() as f64,
        }
    }
}

/// A number and what there is of it: `one` of one, else `many`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Number of entries of each row and of each column.
pub(crate) fn degrees(csr: &Csr) -> (Vec<u32>, Vec<u32>) {
    let rows = (0..csr.rows()).map(|r| csr.degree(r) as u32).collect();
    let mut columns = vec![0u32; csr.cols()];
    for &c in csr.idx() {
        columns[c as usize] += 1;
    }
    (rows, columns)
}

impl fmt::Display for PrepareReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, valid, test] = self.interactions;
        let all = train + valid + test;
        let users = counted(self.users as u64, "user", "users");
        let items = counted(self.items as u64, "item", "items");
        writeln!(
            f,
            "{}: {users}, {items}, {}",
            self.name,
            counted(all as u64, "interaction", "interactions")
        )?;
        writeln!(f, "density {:.4} %", self.density * 100.0)?;
        let used: Vec<String> = self.columns.iter().map(|c| format!("{} `{}`", c.role, c.name)).collect();
        write!(f, "columns: {}", used.join(", "))?;
        match self.ignored.is_empty() {
            true => writeln!(f)?,
            false => writeln!(f, "; not used: {}", listed(&self.ignored))?,
        }
        write!(f, "split {}", self.split)?;
        if let Some(seed) = self.seed {
            write!(f, " (seed {seed})")?;
        }
        let share = |n: usize| 100.0 * n as f64 / all.max(1) as f64;
        writeln!(
            f,
            ": train {train} ({:.1} %), valid {valid} ({:.1} %), test {test} ({:.1} %)",
            share(train),
            share(valid),
            share(test)
        )?;
        let head = ["min", "25%", "50%", "75%", "90%", "99%", "max"];
        write!(f, "\n{:<22}", "train interactions")?;
        head.iter().try_for_each(|h| write!(f, "{h:>7}"))?;
        writeln!(f, "{:>9}", "mean")?;
        for (what, q) in [("  of a user", self.user_degrees), ("  of an item", self.item_degrees)] {
            write!(f, "{what:<22}")?;
            [q.min, q.p25, q.p50, q.p75, q.p90, q.p99, q.max].iter().try_for_each(|v| write!(f, "{v:>7}"))?;
            writeln!(f, "{:>9.2}", q.mean)?;
        }
        writeln!(f, "\ncold items (never in train, still candidates): {}", self.cold_items)?;
        writeln!(f, "cold users (never in train, dropped): {}", self.cold_users)?;
        for m in &self.features {
            let without = counted(m.missing as u64, "item", "items");
            write!(f, "features {}: {} values per item, {without} without", m.name, m.dim)?;
            if m.missing > 0 {
                let no_row = counted(m.no_row as u64, "has", "have");
                write!(f, " ({no_row} no row, {} only zeros)", m.all_zero)?;
            }
            if m.unused_rows > 0 {
                write!(f, ", {} of other items", counted(m.unused_rows as u64, "row", "rows"))?;
            }
            writeln!(f)?;
        }
        for g in &self.knn {
            let without = counted(g.missing as u64, "item", "items");
            writeln!(f, "neighbours {}: {} an item, {without} without", g.name, g.k)?;
        }
        if let Some(titles) = self.titles {
            writeln!(f, "titles: {titles} of {} items", self.items)?;
        }
        if self.dropped.is_empty() {
            writeln!(f, "dropped: nothing")?;
        } else {
            writeln!(f, "dropped:")?;
            for Dropped { count, what, why } in &self.dropped {
                writeln!(f, "  {}: {why}", counted(*count, what.trim_end_matches('s'), what))?;
            }
        }
        self.notes.iter().try_for_each(|n| writeln!(f, "note: {n}"))?;
        if !self.hash.is_empty() {
            writeln!(f, "hash {}", self.hash)?;
        }
        Ok(())
    }
}

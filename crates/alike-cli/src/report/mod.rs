//! A report as one HTML file: works offline, in light and dark, on a phone and with a screen reader.

mod chart;
pub(crate) mod experiment;
mod export;
mod palette;
mod people;
mod sections;

use std::fmt::{self, Write};

use crate::commands::Unseen;
use palette::Palette;

/// What a report shows. All texts are plain; they are escaped here.
#[derive(Debug, Default)]
pub(crate) struct DemoReport {
    /// Name of the data, as a reader knows it.
    pub(crate) data_name: String,
    /// What one item is called, singular and plural.
    pub(crate) noun: (String, String),
    /// Number of users.
    pub(crate) users: usize,
    /// Number of items.
    pub(crate) items: usize,
    /// Number of train interactions.
    pub(crate) train: usize,
    /// Time of everything, in seconds.
    pub(crate) seconds: f64,
    /// The models, in the order in which they are shown.
    pub(crate) models: Vec<ModelSummary>,
    /// Name of the model whose recommendations are shown.
    pub(crate) shown: String,
    /// A few users.
    pub(crate) people: Vec<UserExample>,
    /// How the models place items that nobody took in training.
    pub(crate) unseen: Unseen,
    /// Facts of the data: name and value.
    pub(crate) facts: Vec<(String, String)>,
    /// Commands to go on with.
    pub(crate) next: Vec<String>,
    /// Where the data come from and what their licence asks for.
    pub(crate) notice: String,
}

/// One trained model.
#[derive(Debug, Default, Clone)]
pub(crate) struct ModelSummary {
    /// Name.
    pub(crate) name: String,
    /// What it is, in one line.
    pub(crate) summary: String,
    /// One point an epoch; empty when the model is not trained by epochs.
    pub(crate) curve: Vec<Point>,
    /// The epoch whose parameters were kept.
    pub(crate) best_epoch: usize,
    /// Training time in seconds.
    pub(crate) seconds: f64,
    /// Number of trained parameters.
    pub(crate) parameters: usize,
    /// Validation metrics.
    pub(crate) valid: RecallAndNdcg,
    /// Test metrics under the public protocol.
    pub(crate) public: RecallAndNdcg,
    /// Test metrics under the clean protocol.
    pub(crate) clean: RecallAndNdcg,
    /// All settings.
    pub(crate) settings: Vec<(String, String)>,
    /// What should be said of its training besides.
    pub(crate) remarks: Vec<String>,
}

/// The metrics that a report shows.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RecallAndNdcg {
    /// Recall@10, Recall@20.
    pub(crate) recall: [f64; 2],
    /// NDCG@10, NDCG@20.
    pub(crate) ndcg: [f64; 2],
}

/// One epoch of a learning curve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    /// Epoch, from 1.
    pub(crate) epoch: usize,
    /// Mean loss of the epoch.
    pub(crate) loss: f64,
    /// Validation Recall@20, when it was evaluated.
    pub(crate) recall: Option<f64>,
}

/// One user.
#[derive(Debug, Default)]
pub(crate) struct UserExample {
    /// Id.
    pub(crate) id: String,
    /// Train items, as many as are shown.
    pub(crate) history: Vec<Title>,
    /// Number of train items.
    pub(crate) history_len: usize,
    /// Number of held-out items.
    pub(crate) held_out: usize,
    /// Recommendations, best first, each with whether it is held out.
    pub(crate) recommended: Vec<(Title, bool)>,
}

/// What is known of an item.
#[derive(Debug, Default, Clone)]
pub(crate) struct Title {
    /// Title, or the id where there is none.
    pub(crate) name: String,
    /// Genre, category or the like.
    pub(crate) kinds: Vec<String>,
    /// A picture's bytes.
    pub(crate) picture: Option<Vec<u8>>,
}

impl DemoReport {
    /// The model with the highest validation Recall@20.
    fn winner(&self) -> Option<&ModelSummary> {
        self.models.iter().max_by(|a, b| a.valid.recall[1].total_cmp(&b.valid.recall[1]))
    }

    /// The models' colours.
    fn palette(&self) -> Palette {
        Palette::new(self.models.iter().map(|m| (m.name.as_str(), m.name.as_str())))
    }

    /// The whole page.
    pub(crate) fn html(&self) -> String {
        let mut page = start(&self.data_name);
        sections::header(&mut page, self);
        page.push_str("<main>\n");
        sections::curves(&mut page, self);
        sections::metrics(&mut page, self);
        sections::unseen(&mut page, self);
        people::section(&mut page, self);
        sections::data(&mut page, self);
        sections::settings(&mut page, self);
        sections::next(&mut page, self);
        page.push_str("</main>\n");
        sections::footer(&mut page, self);
        page.push_str("</body>\n</html>\n");
        page
    }
}

/// A page's beginning, up to and with `<body>`.
fn start(title: &str) -> String {
    let mut page = String::with_capacity(256 * 1024);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    let _ = write!(page, "<title>alike · {}</title>\n<style>\n", Text(title));
    page.push_str(include_str!("chart.css"));
    page.push_str(include_str!("page.css"));
    page.push_str("</style>\n</head>\n<body>\n");
    page
}

/// A panel with a heading, a note under it, and what `fill` writes.
fn figure(page: &mut String, caption: &str, note: &str, fill: impl FnOnce(&mut String)) {
    let _ = writeln!(
        page,
        "<figure class=\"panel\"><figcaption><h3>{}</h3><span>{}</span></figcaption>",
        Text(caption),
        Text(note)
    );
    fill(page);
    page.push_str("</figure>\n");
}

/// A text that writes itself with HTML's special characters escaped, for content and quoted attributes.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

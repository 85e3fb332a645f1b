//! A report as one HTML file: works offline, in light and dark, on a phone and with a screen reader.

mod chart;
mod demo;
pub(crate) mod experiment;
mod export;
mod learning;
mod metrics;
mod page;
mod palette;
mod people;
mod plane;
mod sections;
mod svg;

use maud::html;

pub(crate) use demo::{DemoReport, ModelSummary, Point, RecallAndNdcg, Title, UserExample};

impl DemoReport {
    /// The whole page.
    pub(crate) fn html(&self) -> String {
        let main = html! {
            (learning::section(self))
            (metrics::section(self))
            (sections::unseen(self))
            (people::section(self))
            (sections::data(self))
            (sections::settings(self))
            (sections::next(self))
        };
        page::document(&self.data_name, &sections::header(self), &main, &page::footer(&self.notice))
    }
}

#[cfg(test)]
mod tests;

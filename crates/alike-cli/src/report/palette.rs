//! Which colour a model has: the same in every chart and table of a page.

/// Number of colours in `page.css` and `chart.css`.
const COLOURS: usize = 7;
/// Number of dashes there, solid included.
const DASHES: usize = 4;

/// How something is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Number of the colour's class `s0`, `s1` …
    pub(crate) colour: usize,
    /// Number of the dash's class `d0`, `d1` …; 0 is solid.
    pub(crate) dash: usize,
}

/// The styles of a page's models.
///
/// A model's place in the registry decides, not its place on the page: the same model looks the same in
/// another report, and where models are left out the others keep theirs. Where two would share a colour, the
/// one that comes later in the registry takes the next that is free; when all are taken, lines are dashed.
#[derive(Debug)]
pub(crate) struct Palette {
    styles: Vec<(String, Style)>,
}

impl Palette {
    /// Styles for models given by the name that is shown and the name in the registry.
    pub(crate) fn new<'a>(models: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let place = |model: &str| alike::models::all().iter().position(|m| m.name == model);
        let mut all: Vec<(usize, &str)> =
            models.into_iter().map(|(shown, model)| (place(model).unwrap_or(0), shown)).collect();
        all.sort_unstable();
        all.dedup();
        let mut used = [0; COLOURS];
        let styles = all.into_iter().map(|(place, shown)| {
            let least = used.iter().copied().min().unwrap_or(0);
            let free = (place..place + COLOURS).map(|at| at % COLOURS).find(|&colour| used[colour] == least);
            let colour = free.unwrap_or(0);
            used[colour] += 1;
            (shown.to_string(), Style { colour, dash: least % DASHES })
        });
        Self { styles: styles.collect() }
    }

    /// The style of the model that is shown as `name`.
    pub(crate) fn style_of(&self, name: &str) -> Style {
        let found = self.styles.iter().find(|(shown, _)| shown == name);
        found.map_or(Style { colour: 0, dash: 0 }, |(_, style)| *style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_company_do_not_matter() {
        let all = ["popularity", "lightgcn", "nsmar+"];
        let palette = Palette::new(all.map(|m| (m, m)));
        let turned = Palette::new(["nsmar+", "popularity", "lightgcn"].map(|m| (m, m)));
        let alone = Palette::new([("ours", "nsmar+")]);
        for model in all {
            assert_eq!(palette.style_of(model), turned.style_of(model));
        }
        assert_eq!(palette.style_of("nsmar+"), alone.style_of("ours"));
        let colours: std::collections::HashSet<usize> =
            all.iter().map(|m| palette.style_of(m).colour).collect();
        assert_eq!(colours.len(), 3);
    }

    #[test]
    fn as_many_colours_as_there_are_then_dashes() {
        let names: Vec<String> = (0..9).map(|n| format!("variant {n}")).collect();
        let palette = Palette::new(names.iter().map(|n| (n.as_str(), "bpr")));
        let styles: Vec<Style> = names.iter().map(|n| palette.style_of(n)).collect();
        assert!(styles[..COLOURS].iter().all(|s| s.dash == 0));
        assert!((0..9).all(|i| (0..i).all(|j| styles[i] != styles[j])), "{styles:?}");
    }

    #[test]
    fn every_style_is_in_the_style_sheets() {
        let (page, chart) = (include_str!("page.css"), include_str!("chart.css"));
        for colour in 0..COLOURS {
            assert!(page.contains(&format!(".s{colour} {{ --c: var(--s{colour}); }}")), "{colour}");
            assert_eq!(page.matches(&format!("--s{colour}: #")).count(), 2, "light and dark: {colour}");
            assert!(chart.contains(&format!("svg .s{colour} {{ color: var(--s{colour}); }}")), "{colour}");
        }
        assert!((1..DASHES).all(|dash| chart.contains(&format!("svg .d{dash} {{"))));
    }
}

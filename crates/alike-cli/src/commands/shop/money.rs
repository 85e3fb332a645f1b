//! Numbers as people write them: with a currency, and with either sign before the decimals.

/// Characters of a currency before or behind an amount.
const CURRENCY: usize = 4;

/// How the amounts of a column are written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amounts {
    /// Whether some value shows that a comma stands before the decimals.
    comma: bool,
}

impl Amounts {
    /// Of a column with these values.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let shows = |text: &str| {
            let Some(core) = core(text, true) else { return false };
            match (core.rfind(','), core.rfind('.')) {
                (Some(comma), Some(point)) => comma > point,
                (Some(comma), None) => core.matches(',').count() == 1 && core.len() - comma != 4,
                _ => false,
            }
        };
        let mut values = values;
        Self { comma: values.any(shows) }
    }

    /// An amount, perhaps with a currency.
    pub(super) fn money(self, text: &str) -> Option<f64> {
        self.read(text, true)
    }

    /// A number without anything beside it.
    pub(super) fn number(self, text: &str) -> Option<f64> {
        self.read(text, false)
    }

    fn read(self, text: &str, currency: bool) -> Option<f64> {
        let core = core(text, currency)?;
        let decimal = match (core.rfind(','), core.rfind('.')) {
            (Some(comma), Some(point)) => Some(comma.max(point)),
            (None, None) => None,
            (Some(at), None) => {
                let groups = core.matches(',').count() > 1 || (!self.comma && core.len() - at == 4);
                (!groups).then_some(at)
            }
            (None, Some(at)) => {
                let groups = core.matches('.').count() > 1 || (self.comma && core.len() - at == 4);
                (!groups).then_some(at)
            }
        };
        let bare = |part: &str| part.replace([',', '.'], "");
        let plain = match decimal {
            Some(at) => format!("{}.{}", bare(&core[..at]), bare(&core[at + 1..])),
            None => bare(&core),
        };
        plain.parse::<f64>().ok().filter(|number| number.is_finite())
    }
}

/// The digits and signs of an amount, without blanks, apostrophes and, where it may have one, its currency.
fn core(text: &str, currency: bool) -> Option<String> {
    let within = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | ',');
    let text = text.trim();
    let bare = match currency {
        true => {
            let at = text.find(within)?;
            let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ',')?;
            let (before, after) = (text.get(..at)?.trim(), text.get(end + 1..)?.trim());
            let beside = |part: &str| part.chars().count() <= CURRENCY && !part.contains(['/', '%', ':']);
            // `1.299,-` and `1.299,–` are whole amounts.
            let after = after.trim_start_matches(['-', '–', '—']).trim();
            if !beside(before) || !beside(after) {
                return None;
            }
            text.get(at..=end)?
        }
        false => text,
    };
    let blank = |c: char| c == '\'' || c == '’' || c.is_whitespace();
    let core: String = bare.chars().filter(|&c| !blank(c)).collect();
    let core = core.trim_end_matches(['.', ',']);
    let digits = core.strip_prefix('-').unwrap_or(core);
    let number = digits.contains(|c: char| c.is_ascii_digit()) && !digits.contains('-');
    (number && core.chars().all(within)).then(|| core.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_either_sign() {
        let english = ["12.99 EUR", "1,299.00", "$5", "USD 1,299", "12.5", "1 299.50 kr", "-3", "£1,234,567"];
        let amounts = Amounts::of(english.into_iter());
        let read: Vec<f64> = english.iter().map(|text| amounts.money(text).unwrap()).collect();
        assert_eq!(read, [12.99, 1299.0, 5.0, 1299.0, 12.5, 1299.5, -3.0, 1_234_567.0]);
        let german = ["12,99 €", "1.299,00", "1.299", "5", "1.299,-", "CHF 1'299,5"];
        let amounts = Amounts::of(german.into_iter());
        let read: Vec<f64> = german.iter().map(|text| amounts.money(text).unwrap()).collect();
        assert_eq!(read, [12.99, 1299.0, 1299.0, 5.0, 1299.0, 1299.5]);
    }

    #[test]
    fn other_texts_are_no_amounts() {
        let amounts = Amounts::default();
        for text in ["", "S/M", "10x20", "12-14", "free", "5 pieces", "2024-03-01"] {
            assert_eq!(amounts.money(text), None, "{text}");
        }
        assert_eq!((amounts.number("5 cm"), amounts.number("5")), (None, Some(5.0)));
    }
}

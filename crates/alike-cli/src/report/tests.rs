//! The page of a made-up run: complete, escaped, self-contained. It is left in the target folder to look at.

use super::*;
use crate::commands::Unseen;

fn scores(base: f64) -> RecallAndNdcg {
    RecallAndNdcg { recall: [base * 0.6, base], ndcg: [base * 0.35, base * 0.45] }
}

fn model(name: &str, epochs: usize, top: f64) -> ModelSummary {
    let curve = (1..=epochs).map(|epoch| {
        let learned = 1.0 - (-(epoch as f64) / 7.0).exp();
        let wobble = 0.004 * (epoch as f64 * 2.1).sin();
        let recall = (epoch % 2 == 0).then_some(top * learned + wobble);
        Point { epoch, loss: 0.69 - 0.4 * learned * top * 3.0, recall }
    });
    ModelSummary {
        name: name.into(),
        summary: format!("the model {name}"),
        curve: curve.collect(),
        best_epoch: epochs.saturating_sub(2) & !1,
        seconds: epochs as f64 * 0.9,
        parameters: epochs * 12_345,
        valid: scores(top),
        public: scores(top * 0.97),
        clean: scores(top * 1.02),
        settings: vec![
            ("dim".into(), "64".into()),
            ("lr".into(), "0.001".into()),
            ("layers".into(), "2".into()),
        ],
        remarks: if epochs == 60 {
            vec!["it might <still> get better: allow more `epochs`".into()]
        } else {
            Vec::new()
        },
    }
}

fn title(n: usize) -> Title {
    let all = [
        ("Toy Story (1995)", vec!["Adventure", "Animation", "Children", "Comedy"]),
        ("Lord of the Rings: The Fellowship of the Ring, The (2001)", vec!["Adventure", "Fantasy"]),
        ("Heat (1995)", vec!["Action", "Crime", "Thriller"]),
        (
            "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb (1964)",
            vec!["Comedy", "War"],
        ),
        ("Amélie <script>alert(\"x\")</script> (2001)", vec!["Romance & more"]),
        ("2001: A Space Odyssey (1968)", vec!["Drama", "Sci-Fi"]),
        ("Seven (a.k.a. Se7en) (1995)", vec!["Mystery", "Thriller"]),
    ];
    let (name, kinds) = &all[n % all.len()];
    Title { name: (*name).into(), kinds: kinds.iter().map(|k| (*k).into()).collect(), picture: None }
}

fn sample() -> DemoReport {
    let person = |n: usize| UserExample {
        id: format!("{}", 100 + n),
        history: (0..8).map(|i| title(i * 3 + n)).collect(),
        history_len: 8 + 7 * n,
        held_out: 3 + n,
        recommended: (0..10).map(|i| (title(i + n), [0, 5].contains(&((i * 7 + n) % 10)))).collect(),
    };
    DemoReport {
        data_name: "A made-up run".into(),
        noun: ("film".into(), "films".into()),
        users: 651,
        items: 1468,
        train: 30_804,
        seconds: 92.0,
        models: vec![model("popularity", 0, 0.21), model("lightgcn", 60, 0.33), model("nsmar+", 34, 0.37)],
        shown: "nsmar+".into(),
        people: (0..10).map(person).collect(),
        unseen: Unseen {
            items: 147,
            users: 600,
            recall: vec![("popularity".into(), 0.13), ("nsmar+".into(), 0.41)],
            chance: 0.136,
        },
        facts: vec![("Users".into(), "651".into()), ("Split".into(), "label".into())],
        next: vec!["alike recommend runs/demo/nsmar+ --user 1".into()],
        notice: "Nobody's data.".into(),
    }
}

#[test]
fn the_page_is_complete_and_self_contained() {
    let page = sample().html();
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/report-sample.html");
    let _ = std::fs::write(kept, &page);
    assert!(page.contains(
        "nsmar+ finds 36\u{a0}% of the films we had hidden, 76\u{a0}% more than the bestseller list"
    ));
    for outside in ["http:", "https:", "<script", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("Amélie &lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;"));
    assert!(page.contains(
        "<strong>lightgcn</strong>: it might &lt;still&gt; get better: allow more <code>epochs</code>."
    ));
    assert!(page.contains("<th scope=\"row\">a random order</th><td>0.1360</td>"));
    assert_eq!(page.matches("<article").count(), 10);
    assert_eq!(page.matches("<li class=\"tile").count(), 100);
    assert_eq!(page.matches("✓ chosen").count(), page.matches("tile hit\"").count());
    assert_eq!(page.matches("<svg viewBox=\"0 0 480").count(), page.matches("<desc").count());
}

/// Every tag of the page is closed, in order.
pub(super) fn balanced(page: &str) {
    closed(&page[page.find("</style>").unwrap() + 8..], vec!["html", "head"]);
}

/// Every tag of `markup`, which begins within the elements `open`, is closed, in order.
pub(super) fn closed<'a>(markup: &'a str, mut open: Vec<&'a str>) {
    for tag in tags(markup) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') && name != "img" && name != "br" {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

fn tags(markup: &str) -> impl Iterator<Item = &str> {
    let all = markup.split('<').skip(1).filter(|t| !t.starts_with(['!', '?']));
    all.map(|t| &t[..t.find('>').unwrap()])
}

/// A text that does harm, or at least breaks the page, where it is not escaped.
pub(super) fn hostile(place: &str) -> String {
    format!("{place}</title></desc>\"><script>alert('x')</script>&lt;\" onload=\"x")
}

/// That text within a page.
pub(super) fn escaped(place: &str) -> String {
    let text = hostile(place).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// Nothing in `markup` is a script, and every attribute is in double quotes, with a name that runs nothing.
pub(super) fn inert(markup: &str) {
    for tag in tags(markup) {
        assert!(!tag.starts_with("script"), "{tag}");
        let mut rest = tag.split_once(' ').map_or("", |(_, rest)| rest);
        while let Some((name, after)) = rest.split_once("=\"") {
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{tag}");
            assert!(!name.starts_with("on"), "{tag}");
            rest = after.split_once('"').unwrap().1.trim_start();
        }
        assert_eq!(rest, "", "{tag}");
    }
}

#[test]
fn tags_are_balanced() {
    balanced(&sample().html());
}

#[test]
fn the_best_of_each_column_is_bold_and_ties_share_it() {
    let mut report = sample();
    // What else is bold on the page.
    report.unseen.recall.clear();
    report.models.iter_mut().for_each(|m| m.remarks.clear());
    assert_eq!(
        report.html().matches("<td><strong>").count() + report.html().matches("\"edge\"><strong>").count(),
        8
    );
    report.models.push(ModelSummary { name: "twin".into(), ..model("nsmar+", 34, 0.37) });
    assert_eq!(report.html().matches("<strong>").count(), 16);
}

#[test]
fn a_report_without_models_or_people_is_still_a_page() {
    let page = DemoReport { data_name: "Empty".into(), ..DemoReport::default() }.html();
    assert!(page.contains("Recommendations for Empty") && page.ends_with("</html>\n"));
}

#[test]
fn no_text_is_taken_for_markup() {
    let mut report = sample();
    let [_, learned, winner] = &mut report.models[..] else { panic!("three models") };
    let user = &mut report.people[0];
    let (setting, value) = &mut learned.settings[0];
    let (fact, known) = &mut report.facts[0];
    let Title { name: suggested, kinds, .. } = &mut user.recommended[0].0;
    let texts = [
        ("data name", &mut report.data_name),
        ("noun", &mut report.noun.0),
        ("nouns", &mut report.noun.1),
        ("model", &mut learned.name),
        ("summary", &mut learned.summary),
        ("remark", &mut learned.remarks[0]),
        ("setting", setting),
        ("value", value),
        ("winner", &mut winner.name),
        ("shown", &mut report.shown),
        ("user", &mut user.id),
        ("past", &mut user.history[0].name),
        ("suggested", suggested),
        ("kind", &mut kinds[0]),
        ("unseen", &mut report.unseen.recall[0].0),
        ("fact", fact),
        ("fact's value", known),
        ("command", &mut report.next[0]),
        ("notice", &mut report.notice),
    ];
    let places = texts.map(|(place, text)| {
        *text = hostile(place);
        place
    });
    let page = report.html();
    balanced(&page);
    inert(&page);
    for place in places {
        assert!(page.contains(&escaped(place)), "{place}");
    }
    // In the headline, the bars, two charts with legends and descriptions, the tables, the settings.
    assert!(page.matches(&escaped("winner")).count() > 10);
    assert!(page.contains(&format!("aria-label=\"Unseen {}\"", escaped("nouns"))));
}

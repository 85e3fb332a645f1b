//! Metrics against numbers of independent implementations, see `golden/metrics.py`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alike::eval::{CUTS, Protocol, Split, beyond_accuracy, groups, rank};
use alike::scorer::{Matrix, Scorer};
use alike_ops::Csr;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use serde::Deserialize;

use crate::golden::prepared;
use crate::npy::write_npy;

#[derive(Deserialize)]
struct Case {
    user_factors: Vec<Vec<f32>>,
    item_factors: Vec<Vec<f32>>,
    train: Vec<Vec<u32>>,
    valid: Vec<Vec<u32>>,
    test: Vec<Vec<u32>>,
    features: BTreeMap<String, Vec<Vec<f32>>>,
    expected: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    users: Vec<u32>,
    mean: BTreeMap<String, f64>,
    beyond: BTreeMap<String, f64>,
    #[serde(rename = "recall@20")]
    recall: Vec<f64>,
    #[serde(rename = "ndcg@20")]
    ndcg: Vec<f64>,
}

fn matrix(rows: &[Vec<f32>]) -> Matrix {
    Matrix::new(rows.len(), rows[0].len(), rows.concat())
}

fn close(name: &str, found: f64, wanted: f64, tolerance: f64) {
    assert!((found - wanted).abs() < tolerance, "{name} is {found}, expected {wanted}");
}

#[test]
fn metrics_agree_with_other_libraries() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let case: Case = serde_json::from_slice(&std::fs::read(folder.join("metrics.json")).unwrap()).unwrap();
    let (users, items) = (case.user_factors.len(), case.item_factors.len());
    let dir = tempfile::tempdir().unwrap();
    let files = case.features.iter().map(|(name, rows)| {
        let file = dir.path().join(format!("{name}.npy"));
        write_npy(&file, rows.len(), rows[0].len(), &rows.concat());
        (name.clone(), file)
    });
    // Prepared with interactions in which every user and item occurs, which the case's then replace.
    let all: Vec<Vec<u32>> =
        (0..users).map(|u| (0..items as u32).filter(|i| *i as usize % users == u).collect()).collect();
    let mut data = prepared(&all, items, files.collect(), dir.path());
    let csr = |rows: &[Vec<u32>]| Arc::new(Csr::from_rows(items, rows).unwrap());
    (data.train, data.valid, data.test) = (csr(&case.train), csr(&case.valid), csr(&case.test));
    let scorer = Scorer::Dot { users: matrix(&case.user_factors), items: matrix(&case.item_factors) };
    for (name, wanted) in &case.expected {
        let (split, protocol) = name.split_once('/').unwrap();
        let (split, protocol): (Split, Protocol) = (split.parse().unwrap(), protocol.parse().unwrap());
        let ranked = rank(&scorer, &data, split, protocol, &()).unwrap();
        let each = ranked.per_user();
        assert_eq!(each.users, wanted.users);
        for (column, values) in [("recall@20", &wanted.recall), ("ndcg@20", &wanted.ndcg)] {
            let found = each.column(column).unwrap();
            found.iter().zip(values).for_each(|(f, w)| close(column, *f, *w, 1e-12));
        }
        let mean = each.mean();
        assert_eq!(mean.0.len(), wanted.mean.len());
        wanted.mean.iter().for_each(|(metric, w)| close(metric, mean.get(metric), *w, 1e-12));
        let other = beyond_accuracy(&ranked);
        assert_eq!(wanted.beyond.len(), 15);
        wanted.beyond.iter().for_each(|(metric, w)| close(metric, other.get(metric), *w, 1e-5));
        // Each user is in one of their two groups, and their means give the mean of all.
        let groups = groups(&ranked, &each);
        let of = |name: &str| groups.iter().find(|g| g.name == name).unwrap();
        let (cold, warm) = (of("cold-users"), of("warm-users"));
        assert_eq!(cold.users + warm.users, each.users.len());
        let sum = [cold, warm].map(|g| g.users as f64 * g.metrics.get("ndcg@10")).iter().sum::<f64>();
        close("ndcg@10 of both groups", sum / each.users.len() as f64, mean.get("ndcg@10"), 1e-12);
        // A held-out item is cold or warm: hits on both are all hits.
        let hits = |u: &[u32], limit: u32, warm: bool| {
            let taken = |i: u32| case.train.iter().filter(|row| row.contains(&i)).count() as u32;
            u.iter().filter(|i| (taken(**i) > limit) == warm).count()
        };
        let held = if split == Split::Valid { &case.valid } else { &case.test };
        for (group, warm) in [(of("cold-items"), false), (of("warm-items"), true)] {
            assert_eq!(group.users, held.iter().filter(|row| hits(row, group.limit, warm) > 0).count());
        }
    }
}

/// A shop of any size: factors of small whole numbers, so that scores are exact and often tie, and who took
/// what. Lists may be empty, and a user may have taken everything.
#[derive(Debug, Clone)]
struct Shop {
    users: Vec<Vec<f32>>,
    items: Vec<Vec<f32>>,
    /// Of each user and item: 0 not taken, 1 train, 2 validation, 3 test.
    taken: Vec<Vec<u8>>,
}

fn shops() -> impl Strategy<Value = Shop> {
    (2usize..7, 1usize..70).prop_flat_map(|(users, items)| {
        let factors = |n| vec(vec((-2i8..3).prop_map(f32::from), 2), n);
        // From users who took next to nothing to users who took next to everything.
        let row = (0u8..101).prop_flat_map(move |share| {
            vec((0u8..100, 1u8..4).prop_map(move |(draw, label)| if draw < share { label } else { 0 }), items)
        });
        (factors(users), factors(items), vec(row, users)).prop_map(|(users, items, taken)| Shop {
            users,
            items,
            taken,
        })
    })
}

impl Shop {
    fn rows(&self, label: u8) -> Vec<Vec<u32>> {
        let row = |row: &Vec<u8>| (0u32..).zip(row).filter(|(_, l)| **l == label).map(|(i, _)| i).collect();
        self.taken.iter().map(row).collect()
    }

    /// Metrics of one user by their definitions, over all ranks at once: recall, NDCG, precision, MAP, hit
    /// rate, MRR.
    fn by_definition(&self, u: usize, held: &[u32], masked: &[u8], k: usize) -> [f64; 6] {
        let score = |i: u32| {
            let item = &self.items[i as usize];
            self.users[u].iter().zip(item).map(|(a, b)| a * b).sum::<f32>()
        };
        let open = |i: &u32| !masked.contains(&self.taken[u][*i as usize]);
        let mut order: Vec<u32> = (0..self.items.len() as u32).filter(open).collect();
        // Not `total_cmp`, for which -0 is below 0.
        order.sort_by(|a, b| score(*b).partial_cmp(&score(*a)).unwrap().then(a.cmp(b)));
        let places: Vec<usize> =
            (1..).zip(&order).take(k).filter(|(_, i)| held.contains(i)).map(|(place, _)| place).collect();
        let gain = |place: &usize| 1.0 / (*place as f64 + 1.0).log2();
        let best = k.min(held.len());
        let ideal: f64 = (1..=best).map(|p| gain(&p)).sum();
        let precisions = (1..).zip(&places).map(|(n, place)| f64::from(n) / *place as f64).sum::<f64>();
        [
            places.len() as f64 / held.len() as f64,
            places.iter().map(gain).sum::<f64>() / ideal,
            places.len() as f64 / k as f64,
            precisions / best as f64,
            if places.is_empty() { 0.0 } else { 1.0 },
            places.first().map_or(0.0, |p| 1.0 / *p as f64),
        ]
    }
}

fn mean(rows: &[[f64; 6]], at: usize) -> f64 {
    rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64
}

#[test]
fn lists_of_any_length_have_the_metrics_of_the_definitions() {
    let dir = tempfile::tempdir().unwrap();
    let base = prepared(&[Vec::from([0]), Vec::from([1])], 3, Vec::new(), dir.path());
    let data = RefCell::new(base);
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) });
    let outcome = runner.run(&shops(), |shop| {
        let data = &mut *data.borrow_mut();
        let csr = |rows: &[Vec<u32>]| Arc::new(Csr::from_rows(shop.items.len(), rows).unwrap());
        (data.train, data.valid, data.test) = (csr(&shop.rows(1)), csr(&shop.rows(2)), csr(&shop.rows(3)));
        let scorer = Scorer::Dot { users: matrix(&shop.users), items: matrix(&shop.items) };
        let cases = [
            (Split::Valid, Protocol::Public, 2, &[1][..]),
            (Split::Test, Protocol::Public, 3, &[1]),
            (Split::Test, Protocol::Clean, 3, &[1, 2]),
        ];
        for (split, protocol, label, masked) in cases {
            let held = shop.rows(label);
            let users: Vec<usize> = (0..held.len()).filter(|&u| !held[u].is_empty()).collect();
            if users.is_empty() {
                prop_assert!(rank(&scorer, data, split, protocol, &()).is_err());
                continue;
            }
            let ranked = rank(&scorer, data, split, protocol, &()).unwrap();
            let each = ranked.per_user();
            let groups = groups(&ranked, &each);
            for k in CUTS {
                let rows: Vec<[f64; 6]> =
                    users.iter().map(|&u| shop.by_definition(u, &held[u], masked, k)).collect();
                // The held-out items that were taken at most so often, and the others, as if there were no
                // more.
                let of_items = |limit: u32, warm: bool| -> Vec<[f64; 6]> {
                    let degree =
                        |i: &u32| shop.taken.iter().filter(|row| row[*i as usize] == 1).count() as u32;
                    let own = |u: &usize| -> Vec<u32> {
                        held[*u].iter().copied().filter(|i| (degree(i) > limit) == warm).collect()
                    };
                    let some = users.iter().map(|u| (*u, own(u))).filter(|(_, own)| !own.is_empty());
                    some.map(|(u, own)| shop.by_definition(u, &own, masked, k)).collect()
                };
                for (at, name) in ["recall", "ndcg", "precision", "map", "hitrate", "mrr"].iter().enumerate()
                {
                    let name = format!("{name}@{k}");
                    let column = each.column(&name).unwrap();
                    for (found, row) in column.iter().zip(&rows) {
                        prop_assert!((0.0..=1.0).contains(found), "{name} is {found}");
                        prop_assert!((found - row[at]).abs() < 1e-12, "{name} is {found}, not {}", row[at]);
                    }
                    let found = each.mean().get(&name);
                    prop_assert!((found - mean(&rows, at)).abs() < 1e-12, "{name}: {found}");
                    for group in &groups {
                        let wanted = match group.name.as_str() {
                            "cold-items" => of_items(group.limit, false),
                            "warm-items" => of_items(group.limit, true),
                            other => {
                                let warm = other == "warm-users";
                                let chosen = users.iter().zip(&rows).filter(|(u, _)| {
                                    let degree = data.train.degree(**u) as u32;
                                    (degree > group.limit) == warm
                                });
                                chosen.map(|(_, row)| *row).collect()
                            }
                        };
                        prop_assert_eq!(group.users, wanted.len());
                        let (found, wanted) = (group.metrics.get(&name), mean(&wanted, at));
                        prop_assert!(
                            (found - wanted).abs() < 1e-12,
                            "{}, {name}: {found}, not {wanted}",
                            group.name
                        );
                    }
                }
            }
        }
        Ok(())
    });
    outcome.unwrap();
}
